//! Which region a call belongs to, and what happens when it came through another region's door.
//!
//! A region is found in a configured order: the token's claim, the directory of the file, the host name; then the
//! default (ARUBA-23 to ARUBA-33). Host names are compared whole, so that a name that merely ends or begins like
//! another region's is never taken for it.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use http::HeaderValue;

use crate::config::plan::{RegionPlan, RegionRef, RegionRule, RegionSource, WrongDoor};
use crate::http::guard::Head;
use crate::identity::RegionName;
use crate::rejection::{Rejection, WrongRegion};

/// All regions, ready to be looked up.
#[derive(Debug)]
pub struct Regions {
    places: Vec<Region>,
    by_name: HashMap<RegionName, RegionRef, RandomState>,
    by_host: HashMap<String, RegionRef, RandomState>,
}

#[derive(Debug)]
struct Region {
    value: HeaderValue,
    name: RegionName,
    door: Option<String>,
}

/// What is known of a call's home before its host is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Home<'a> {
    /// The region that the token names.
    pub claim: Option<&'a RegionName>,
    /// The region that the file gives for the tenant, or else the customer.
    pub directory: Option<RegionRef>,
}

impl Regions {
    /// Compiles the regions of a plan.
    pub fn new(regions: &[RegionPlan]) -> Regions {
        let mut compiled = Regions {
            places: Vec::with_capacity(regions.len()),
            by_name: HashMap::default(),
            by_host: HashMap::default(),
        };
        for (index, region) in regions.iter().enumerate() {
            let reference = RegionRef::new(index);
            compiled.by_name.insert(region.name.clone(), reference);
            for host in &region.hosts {
                compiled.by_host.insert(host.to_ascii_lowercase(), reference);
            }
            compiled.places.push(Region {
                // A region's name is of the identifier grammar, so it always is a field value.
                value: HeaderValue::from_str(region.name.as_str())
                    .unwrap_or_else(|_| HeaderValue::from_static("unnamed")),
                name: region.name.clone(),
                door: region.hosts.first().cloned(),
            });
        }
        compiled
    }

    /// The region's name as a field value.
    pub fn value(&self, region: RegionRef) -> Option<&HeaderValue> {
        self.places.get(region.index()).map(|place| &place.value)
    }

    /// The region's name.
    pub fn name(&self, region: RegionRef) -> Option<&RegionName> {
        self.places.get(region.index()).map(|place| &place.name)
    }

    /// The region of that name.
    pub fn named(&self, name: &RegionName) -> Option<RegionRef> {
        self.by_name.get(name).copied()
    }

    /// Finds the region of a call; `None` where nothing names one and there is no default.
    ///
    /// # Errors
    /// [`Rejection::RegionUnavailable`] for a claimed region that is not configured; [`Rejection::WrongRegion`] for a
    /// call at another region's door, unless the rule forwards it.
    pub fn locate(
        &self,
        rule: &RegionRule,
        home: Home<'_>,
        head: &Head,
    ) -> Result<Option<RegionRef>, Rejection> {
        // A configuration without regions knows no places: a claim that names one says nothing here.
        if self.places.is_empty() {
            return Ok(None);
        }
        let mut found = None;
        for source in &rule.from {
            found = match source {
                RegionSource::Claim => match home.claim {
                    // A token that names a region which nobody serves must not end up just anywhere.
                    Some(name) => Some(self.named(name).ok_or(Rejection::RegionUnavailable)?),
                    None => None,
                },
                RegionSource::Directory => home.directory,
                RegionSource::Host => self.by_host.get(head.host()).copied(),
            };
            if found.is_some() {
                break;
            }
        }
        let Some(region) = found.or(rule.default) else {
            return Ok(None);
        };
        match rule.wrong_door {
            WrongDoor::Forward => Ok(Some(region)),
            WrongDoor::Refuse | WrongDoor::Redirect => match self.by_host.get(head.host()) {
                Some(door) if *door != region => Err(self.wrong_door(rule.wrong_door, region, head)),
                _ => Ok(Some(region)),
            },
        }
    }

    fn wrong_door(&self, answer: WrongDoor, region: RegionRef, head: &Head) -> Rejection {
        let Some(host) = self
            .places
            .get(region.index())
            .and_then(|place| place.door.clone())
        else {
            return Rejection::RegionUnavailable;
        };
        let redirect = match answer {
            WrongDoor::Redirect => {
                let query = head.query().map(|query| format!("?{query}")).unwrap_or_default();
                HeaderValue::try_from(format!("https://{host}{}{query}", head.path())).ok()
            }
            WrongDoor::Refuse | WrongDoor::Forward => None,
        };
        Rejection::WrongRegion(Box::new(WrongRegion { host, redirect }))
    }
}
