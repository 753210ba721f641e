//! Who may act for whom: claims that are needed, scopes, tenants, roles, and who pays.

use http::HeaderName;

use super::*;
use crate::base::clock::UnixTime;
use crate::config::plan::{CustomerPlan, RegionPlan, TenantSelector};
use crate::identity::{CredentialKind, IssuerName, SubjectId, TenantGrant};
use crate::rejection::Code;

fn id<I: for<'t> TryFrom<&'t str>>(text: &str) -> I {
    I::try_from(text).unwrap_or_else(|_| panic!("{text:?} is outside the grammar"))
}

fn ids<I: for<'t> TryFrom<&'t str>>(texts: &[&str]) -> Vec<I> {
    texts.iter().map(|text| id(text)).collect()
}

fn identity() -> Identity {
    Identity {
        kind: CredentialKind::Jwt,
        issuer: id::<IssuerName>("idp"),
        subject: id::<SubjectId>("alice"),
        client: None,
        customer: Some(id("msp")),
        tenant: Some(id("msp")),
        tenants: ids(&["by-token"]),
        region: Some(id("us-1")),
        scopes: ids(&["read", "write"]),
        roles: ids(&["viewer"]),
        expires: UnixTime(0),
    }
}

fn caller(identity: Identity) -> Caller {
    Caller::known_as(Some(Known::new(identity, false, None, 1)))
}

fn directory() -> Arc<Directory> {
    let grant = |tenant: &str, region: Option<&str>, roles: Option<&[&str]>| TenantGrant {
        tenant: id(tenant),
        region: region.map(id),
        roles: roles.map(ids),
    };
    let customer = |name: &str, region: usize, tenants: Vec<TenantGrant>| CustomerPlan {
        uuid: None,
        id: id(name),
        region: Some(RegionRef::new(region)),
        quotas: Vec::new(),
        tenants,
    };
    let region = |name: &str| RegionPlan {
        name: id(name),
        hosts: Vec::new(),
    };
    Arc::new(Directory::new(
        &[
            customer(
                "msp",
                0,
                vec![
                    grant("admin-there", Some("eu-1"), Some(&["admin"])),
                    grant("same-roles", None, None),
                    grant("no-roles", None, Some(&[])),
                ],
            ),
            customer("same-roles", 2, vec![]),
            customer("stranger", 1, vec![grant("of-stranger", None, None)]),
        ],
        &[region("us-1"), region("eu-1"), region("ap-1")],
    ))
}

#[derive(Default)]
struct Rules<'r> {
    scopes_any: &'r [&'r str],
    scopes_all: &'r [&'r str],
    roles_any: &'r [&'r str],
    roles_all: &'r [&'r str],
    claims: RequiredClaims,
}

fn access(rules: &Rules<'_>) -> Access {
    let plan = AccessPlan::Required {
        credentials: Vec::new(),
        scopes_any: ids(rules.scopes_any),
        scopes_all: ids(rules.scopes_all),
        roles_any: ids(rules.roles_any),
        roles_all: ids(rules.roles_all),
    };
    Access::new(
        &plan,
        rules.claims,
        directory(),
        &TenantSelector::by_name(HeaderName::from_static("x-tenant")),
    )
}

fn selecting(tenants: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for tenant in tenants {
        headers.append("x-tenant", HeaderValue::from_bytes(tenant.as_bytes()).unwrap());
    }
    headers
}

fn decide(rules: &Rules<'_>, identity: Identity, tenants: &[&str]) -> Result<Permit, Code> {
    access(rules)
        .decide(caller(identity), &Presented::get(&selecting(tenants)))
        .map_err(|rejection| rejection.code())
}

#[test]
fn without_a_selector_the_call_is_for_the_tenant_of_the_token() {
    let permit = decide(
        &Rules::default(),
        Identity {
            tenant: Some(id("t1")),
            ..identity()
        },
        &[],
    )
    .unwrap();
    assert_eq!(permit.tenant(), Some(&id("t1")));
    assert_eq!(permit.tenant_value().unwrap(), "t1");
    assert_eq!(permit.payer(), Some(&id("msp")));
    assert_eq!(permit.customer_value().unwrap(), "msp");
    assert_eq!(permit.subject_value().unwrap(), "alice");
    assert_eq!(permit.scopes_value().unwrap(), "read write");
    assert_eq!(permit.roles_value().unwrap(), "viewer");
    assert_eq!(permit.claim_region(), Some(&id("us-1")));
    assert_eq!(permit.directory_region(), Some(RegionRef::new(0)));
}

#[test]
fn a_tenant_that_the_file_or_the_token_grants_may_be_selected_and_the_payer_stays() {
    for tenant in ["admin-there", "same-roles", "no-roles", "by-token", "msp"] {
        let permit = decide(&Rules::default(), identity(), &[tenant]).unwrap();
        assert_eq!(permit.tenant(), Some(&id(tenant)));
        assert_eq!(permit.tenant_value().unwrap(), tenant);
        assert_eq!(permit.payer(), Some(&id("msp")), "{tenant}");
        assert_eq!(permit.customer_value().unwrap(), "msp", "{tenant}");
    }
}

#[test]
fn any_other_tenant_is_forbidden_and_never_ignored() {
    for tenant in ["of-stranger", "stranger", "unheard-of", "MSP", "by-toke", "alice"] {
        assert_eq!(
            decide(&Rules::default(), identity(), &[tenant]).unwrap_err(),
            Code::TenantForbidden,
            "{tenant}"
        );
    }
    let nobody = Identity {
        customer: None,
        tenant: None,
        tenants: Vec::new(),
        ..identity()
    };
    assert_eq!(
        decide(&Rules::default(), nobody, &["msp"]).unwrap_err(),
        Code::TenantForbidden
    );
}

#[test]
fn a_selector_is_exactly_one_tenant() {
    let long = "x".repeat(129);
    for tenants in [
        &["msp", "msp"][..],
        &["msp", "stranger"][..],
        &[""][..],
        &["msp, stranger"][..],
        &["a b"][..],
        &["ä"][..],
        &["msp;x"][..],
        &[long.as_str()][..],
    ] {
        assert_eq!(
            decide(&Rules::default(), identity(), tenants).unwrap_err(),
            Code::TenantInvalid,
            "{tenants:?}"
        );
    }
}

#[test]
fn an_api_without_a_selector_does_not_read_the_field() {
    let plan = AccessPlan::Required {
        credentials: Vec::new(),
        scopes_any: Vec::new(),
        scopes_all: Vec::new(),
        roles_any: Vec::new(),
        roles_all: Vec::new(),
    };
    let access = Access::new(
        &plan,
        RequiredClaims::default(),
        directory(),
        &TenantSelector::default(),
    );
    let permit = access
        .decide(
            caller(identity()),
            &Presented::get(&selecting(&["stranger", "x"])),
        )
        .unwrap();
    assert_eq!(permit.tenant(), Some(&id("msp")));
}

#[test]
fn roles_in_a_tenant_are_those_of_the_grant_if_it_lists_any() {
    let admin = Rules {
        roles_all: &["admin"],
        ..Rules::default()
    };
    let viewer = Rules {
        roles_any: &["viewer", "editor"],
        ..Rules::default()
    };
    for (tenants, as_admin, as_viewer, shown) in [
        (&[][..], Err(Code::RoleMissing), Ok(()), Some("viewer")),
        (
            &["admin-there"][..],
            Ok(()),
            Err(Code::RoleMissing),
            Some("admin"),
        ),
        (
            &["same-roles"][..],
            Err(Code::RoleMissing),
            Ok(()),
            Some("viewer"),
        ),
        (
            &["no-roles"][..],
            Err(Code::RoleMissing),
            Err(Code::RoleMissing),
            None,
        ),
        (&["by-token"][..], Err(Code::RoleMissing), Ok(()), Some("viewer")),
    ] {
        assert_eq!(
            decide(&admin, identity(), tenants).map(drop),
            as_admin,
            "{tenants:?}"
        );
        assert_eq!(
            decide(&viewer, identity(), tenants).map(drop),
            as_viewer,
            "{tenants:?}"
        );
        let permit = decide(&Rules::default(), identity(), tenants).unwrap();
        assert_eq!(
            permit.roles_value().map(|value| value.to_str().unwrap()),
            shown,
            "{tenants:?}"
        );
    }
    let at_work = Identity {
        tenant: Some(id("admin-there")),
        ..identity()
    };
    assert!(
        decide(&admin, at_work, &[]).is_ok(),
        "also where the token itself names the tenant"
    );
}

#[test]
fn the_region_is_that_of_the_tenant_as_far_as_it_is_known() {
    for (tenants, claim, directory) in [
        (&[][..], Some("us-1"), Some(0)),
        (&["admin-there"][..], None, Some(1)),
        (&["same-roles"][..], None, Some(2)),
        (&["no-roles"][..], Some("us-1"), None),
        (&["by-token"][..], Some("us-1"), Some(0)),
    ] {
        let permit = decide(&Rules::default(), identity(), tenants).unwrap();
        assert_eq!(
            permit.claim_region().map(RegionName::as_str),
            claim,
            "{tenants:?}"
        );
        assert_eq!(
            permit.directory_region(),
            directory.map(RegionRef::new),
            "{tenants:?}"
        );
    }
    let at_work = Identity {
        tenant: Some(id("admin-there")),
        ..identity()
    };
    let permit = decide(&Rules::default(), at_work, &[]).unwrap();
    assert_eq!(
        permit.claim_region(),
        Some(&id("us-1")),
        "the token speaks of its own tenant"
    );
    assert_eq!(permit.directory_region(), Some(RegionRef::new(1)));
}

#[test]
fn scopes_are_checked_any_and_all_and_the_answer_names_what_was_needed() {
    for (any, all, wanted) in [
        (&[][..], &[][..], Ok(())),
        (&["read", "x"][..], &[][..], Ok(())),
        (&[][..], &["read", "write"][..], Ok(())),
        (&["x", "y"][..], &[][..], Err("x")),
        (&[][..], &["read", "x"][..], Err("read x")),
        (&["x", "read"][..], &["y"][..], Err("y x")),
        (&["y", "x"][..], &["y"][..], Err("y")),
        (
            &["rea", "READ", "read "].map(|scope| scope.trim())[..1],
            &[][..],
            Err("rea"),
        ),
    ] {
        let rules = Rules {
            scopes_any: any,
            scopes_all: all,
            ..Rules::default()
        };
        match access(&rules).decide(caller(identity()), &Presented::get(&HeaderMap::new())) {
            Ok(_) => assert_eq!(Ok(()), wanted, "{any:?} {all:?}"),
            Err(Rejection::ScopeMissing { needed }) => assert_eq!(Err(needed.to_str().unwrap()), wanted),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_claim_that_the_route_needs_must_be_there() {
    let claims = |customer, tenant, region| Rules {
        claims: RequiredClaims {
            customer,
            tenant,
            region,
        },
        ..Rules::default()
    };
    let without_customer = || Identity {
        customer: None,
        ..identity()
    };
    let without_tenant = || Identity {
        tenant: None,
        ..identity()
    };
    let without_region = || Identity {
        region: None,
        ..identity()
    };
    for (rules, identity, wanted) in [
        (claims(true, true, true), identity(), None),
        (
            claims(true, false, false),
            without_customer(),
            Some(Code::CredentialsInvalid),
        ),
        (claims(false, true, true), without_customer(), None),
        (
            claims(false, true, false),
            without_tenant(),
            Some(Code::CredentialsInvalid),
        ),
        (claims(true, false, true), without_tenant(), None),
        (
            claims(false, false, true),
            without_region(),
            Some(Code::CredentialsInvalid),
        ),
        (claims(true, true, false), without_region(), None),
    ] {
        assert_eq!(decide(&rules, identity, &[]).err(), wanted);
    }
    let selected = decide(&claims(false, true, false), without_tenant(), &["same-roles"]).unwrap();
    assert_eq!(
        selected.tenant(),
        Some(&id("same-roles")),
        "a tenant that is selected need not be in the token"
    );
}

#[test]
fn where_the_issuer_names_no_tenants_a_customer_is_its_own() {
    let identity = Identity {
        tenant: None,
        ..identity()
    };
    let caller = Caller::known_as(Some(Known::new(identity, true, None, 1)));
    let rules = Rules {
        claims: RequiredClaims {
            tenant: true,
            ..RequiredClaims::default()
        },
        ..Rules::default()
    };
    let permit = access(&rules)
        .decide(caller, &Presented::get(&HeaderMap::new()))
        .unwrap();
    assert_eq!(permit.tenant(), Some(&id("msp")));
    assert_eq!(permit.tenant_value().unwrap(), "msp");
}

#[test]
fn a_public_route_permits_anybody_and_knows_nobody() {
    let access = Access::new(
        &AccessPlan::Public,
        RequiredClaims::default(),
        directory(),
        &TenantSelector::by_name(HeaderName::from_static("x-tenant")),
    );
    for who in [Caller::known_as(None), caller(identity())] {
        let permit = access
            .decide(who, &Presented::get(&selecting(&["stranger"])))
            .unwrap();
        assert!(permit.identity().is_none() && permit.payer().is_none() && permit.tenant().is_none());
        assert!(permit.tenant_value().is_none() && permit.directory_region().is_none());
    }
}

#[test]
fn a_route_that_is_not_public_permits_nobody_unknown() {
    let refused =
        access(&Rules::default()).decide(Caller::known_as(None), &Presented::get(&HeaderMap::new()));
    assert!(matches!(refused, Err(Rejection::CredentialsMissing)));
}
