//! Customers of the store, and what providers among them may act on: list, write, delete. Customers of the file are changed there.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::control::{Control, Query, Refusal};
use super::users::Page;
use crate::accounts::directory::Directory;
use crate::base::units::{self, Quota};
use crate::identity::{CustomerId, LimitName, RegionName, TenantGrant, TenantUuid};
use crate::store::backend::Paging;
use crate::store::model::CustomerRecord;
use crate::store::outcome::{Edit, Written};

/// A customer as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    id: CustomerId,
    name: String,
    uuid: Option<TenantUuid>,
    region: Option<RegionName>,
    quotas: BTreeMap<String, QuotaText>,
    tenants: Vec<TenantGrant>,
    created_at: i64,
}

/// A quota as the configuration has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaText {
    /// `7/s`, `100/m`.
    rate: String,
    /// Without one, the tokens of the rate.
    burst: Option<NonZeroU32>,
}

/// A customer to write. What is left out is not kept from before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct Wanted {
    name: String,
    uuid: Option<TenantUuid>,
    region: Option<RegionName>,
    quotas: BTreeMap<LimitName, QuotaText>,
    tenants: Vec<TenantGrant>,
}

impl From<CustomerRecord> for Shown {
    fn from(customer: CustomerRecord) -> Shown {
        let quotas = customer.quotas.into_iter();
        Shown {
            id: customer.id,
            name: customer.name,
            uuid: customer.uuid,
            region: customer.region,
            quotas: quotas
                .map(|(limit, quota)| (limit.to_string(), QuotaText::of(quota)))
                .collect(),
            tenants: customer.tenants,
            created_at: customer.created_at.0,
        }
    }
}

impl QuotaText {
    fn of(quota: Quota) -> QuotaText {
        QuotaText {
            rate: quota.rate_text(),
            burst: Some(quota.burst),
        }
    }

    fn read(&self) -> Result<Quota, String> {
        let (tokens, per) = units::rate(&self.rate)?;
        Ok(Quota {
            tokens,
            per,
            burst: self.burst.unwrap_or(tokens),
        })
    }
}

/// What names things that are there.
fn checked(wanted: &Wanted, directory: &Directory) -> Result<Vec<(LimitName, Quota)>, Refusal> {
    let regions = wanted.tenants.iter().filter_map(|grant| grant.region.as_ref());
    for region in wanted.region.iter().chain(regions) {
        if !directory.has_region(region) {
            return Err(Refusal::bad(format!("there is no region `{region}`")));
        }
    }
    let quota = |(limit, text): (&LimitName, &QuotaText)| {
        if !directory.has_limit(limit) {
            return Err(Refusal::bad(format!("there is no limit `{limit}`")));
        }
        let quota = text
            .read()
            .map_err(|bad| Refusal::bad(format!("`quotas`: `{limit}`: {bad}")))?;
        Ok((limit.clone(), quota))
    };
    wanted.quotas.iter().map(quota).collect()
}

fn named(text: &str) -> Result<CustomerId, Refusal> {
    CustomerId::try_from(text).map_err(|_| Refusal::unknown("customer"))
}

/// One that may be changed here.
fn of_store(control: &Control, text: &str) -> Result<CustomerId, Refusal> {
    let id = named(text)?;
    if (control.directory)().is_of_file(&id) {
        return Err(Refusal::conflict(
            "the customer is in the configuration, and is changed there",
        ));
    }
    Ok(id)
}

pub(super) async fn list(
    State(control): State<Control>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Shown>>, Refusal> {
    let asked = Query::read(query.as_deref(), &["after", "size"])?;
    let paging = Paging {
        after: asked.get("after").map(named).transpose()?,
        size: asked.size()?,
    };
    let page = control.open_store()?.customers(paging).await?;
    Ok(Json(Page {
        items: page.items.into_iter().map(Shown::from).collect(),
        next: page.next.map(|id| id.to_string()),
    }))
}

pub(super) async fn show(
    State(control): State<Control>,
    Path(customer): Path<String>,
) -> Result<Json<Shown>, Refusal> {
    let found = control.open_store()?.customer(named(&customer)?).await?;
    found
        .map(|customer| Json(Shown::from(customer)))
        .ok_or_else(|| Refusal::unknown("customer of the store"))
}

fn taken() -> Refusal {
    Refusal::conflict("another customer has that `uuid`")
}

/// Writes the customer as it is said here, whether there was one or not.
pub(super) async fn put(
    State(control): State<Control>,
    Path(customer): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<StatusCode, Refusal> {
    let id = of_store(&control, &customer)?;
    let directory = (control.directory)();
    let quotas = checked(&wanted, &directory)?;
    // The file's customers are not the store's, and are asked first.
    if wanted
        .uuid
        .as_ref()
        .is_some_and(|uuid| directory.is_uuid_of_file(uuid))
    {
        return Err(taken());
    }
    let record = CustomerRecord {
        id,
        name: wanted.name,
        uuid: wanted.uuid,
        region: wanted.region,
        quotas,
        tenants: wanted.tenants,
        created_at: control.now(),
    };
    match control.open_store()?.put_customer(record, control.by()).await? {
        Written::Created => Ok(StatusCode::CREATED),
        Written::Replaced => Ok(StatusCode::NO_CONTENT),
        Written::Taken => Err(taken()),
    }
}

pub(super) async fn delete(
    State(control): State<Control>,
    Path(customer): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = of_store(&control, &customer)?;
    match control.open_store()?.delete_customer(id, control.by()).await? {
        Edit::Done => Ok(StatusCode::NO_CONTENT),
        Edit::Unknown => Err(Refusal::unknown("customer of the store")),
    }
}
