//! What callers of our own accounts may do: tenants by what is granted now, rights of the tenant's role, and who pays.

use super::*;
use crate::auth::access::Permit;
use crate::config::plan::{CustomerPlan, RegionPlan, RegionRef, TenantSelector};
use crate::identity::Role;
use crate::store::model::CustomerRecord;

const TENANT: HeaderName = HeaderName::from_static("tenantid");

struct Rules {
    roles: Vec<Role>,
    scopes: Vec<crate::identity::Scope>,
    rule: ScopeRule,
    claims: RequiredClaims,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            roles: Vec::new(),
            scopes: Vec::new(),
            rule: ScopeRule::Named,
            claims: RequiredClaims::default(),
        }
    }
}

impl World {
    /// The file knows the customer `msp` with a grant on `t-file`; others are the store's.
    fn access(&self, rules: Rules) -> Access {
        let customer = CustomerPlan {
            uuid: None,
            id: id("msp"),
            region: Some(RegionRef::new(0)),
            quotas: Vec::new(),
            tenants: vec![grant("t-file", &["operator"])],
        };
        let region = RegionPlan {
            name: id("us-1"),
            hosts: Vec::new(),
        };
        let stored = Arc::clone(self.realm.accounts().customers());
        let directory = Directory::new(&[customer], &[region]).beside(stored, &[]);
        let plan = AccessPlan::Required {
            credentials: Vec::new(),
            scopes_any: rules.scopes,
            scopes_all: Vec::new(),
            roles_any: rules.roles,
            roles_all: Vec::new(),
        };
        Access::new(
            &plan,
            rules.claims,
            Arc::new(directory),
            &TenantSelector::by_name(TENANT),
        )
        .with_scopes(rules.rule)
    }

    async fn decide(&self, access: &Access, accepted: Accepted, call: &Call) -> Result<Permit, Code> {
        let credentials = Credentials::of(vec![accepted]);
        let presented = call.presented();
        let code = |rejection: Rejection| rejection.code();
        let caller = credentials
            .identify(&presented, &self.clock)
            .await
            .map_err(code)?;
        access.settle(&caller, presented.headers).await.map_err(code)?;
        access.decide(caller, &presented).map_err(code)
    }

    async fn change(&self, change: impl FnOnce(&mut UserAccess)) {
        let mut access = user_access(&["admin", "viewer"]);
        change(&mut access);
        let edit = self
            .store()
            .change_user_access(realm_name(), self.alice, access, self.by());
        edit.await.unwrap();
    }

    async fn put_customer(&self, name: &str, tenants: Vec<TenantGrant>) {
        let record = CustomerRecord {
            uuid: None,
            id: id(name),
            name: name.to_owned(),
            region: Some(id("us-1")),
            quotas: Vec::new(),
            tenants,
            created_at: self.now(),
        };
        self.store().put_customer(record, self.by()).await.unwrap();
    }
}

fn roles(permit: &Permit) -> &str {
    permit.roles_value().map_or("", |roles| roles.to_str().unwrap())
}

fn of_tenant(call: Call, tenant: &str) -> Call {
    call.with(TENANT, tenant)
}

#[tokio::test]
async fn a_provider_acts_on_a_tenant_with_a_grant_by_the_tenants_role_and_pays_itself() {
    let world = World::new().await;
    world.open_session("s").await;
    let access = world.access(Rules::default());
    let call = || Call::get().cookie("session=s");
    for (tenant, wanted) in [
        (None, Ok(("msp", "admin viewer"))),
        (Some("msp"), Ok(("msp", "admin viewer"))),
        (Some("t-own"), Ok(("t-own", "viewer"))),
        (Some("t-file"), Ok(("t-file", "operator"))),
        (Some("stranger"), Err(Code::TenantForbidden)),
        (Some("T-OWN"), Err(Code::TenantForbidden)),
        (Some("a b"), Err(Code::TenantInvalid)),
    ] {
        let call = match tenant {
            Some(tenant) => of_tenant(call(), tenant),
            None => call(),
        };
        let decided = world
            .decide(&access, world.session(&["session"], None), &call)
            .await;
        match (&decided, wanted) {
            (Ok(permit), Ok((tenant, shown))) => {
                assert_eq!(permit.tenant(), Some(&id(tenant)));
                assert_eq!(permit.tenant_value().unwrap(), tenant);
                assert_eq!(roles(permit), shown);
                assert_eq!(permit.payer(), Some(&id("msp")), "{tenant}");
                assert_eq!(permit.customer_value().unwrap(), "msp", "{tenant}");
                assert_eq!(permit.subject_value().unwrap(), &world.alice.to_string());
            }
            (Err(code), Err(wanted)) => assert_eq!(*code, wanted, "{tenant:?}"),
            (other, wanted) => panic!("{tenant:?}: {other:?} and not {wanted:?}"),
        }
    }
    let admins = world.access(Rules {
        roles: ids(&["admin"]),
        ..Rules::default()
    });
    let decide = async |call: &Call| {
        let session = world.session(&["session"], None);
        world.decide(&admins, session, call).await.err()
    };
    assert_eq!(decide(&call()).await, None);
    assert_eq!(
        decide(&of_tenant(call(), "t-own")).await,
        Some(Code::RoleMissing),
        "an administrator at home is none there"
    );
}

#[tokio::test]
async fn grants_of_the_user_and_of_the_customer_are_those_of_the_moment() {
    let world = World::new().await;
    world.open_session("s").await;
    world
        .put_customer("prov", vec![grant("t-prov", &["operator"])])
        .await;
    world.change(|access| access.customer = Some(id("prov"))).await;
    let access = world.access(Rules::default());
    let ask = async |tenant: &str| {
        let call = of_tenant(Call::get().cookie("session=s"), tenant);
        let session = world.session(&["session"], None);
        let decided = world.decide(&access, session, &call).await;
        decided.map(|permit| roles(&permit).to_owned())
    };
    assert_eq!(ask("t-prov").await.as_deref(), Ok("operator"));
    assert_eq!(ask("t-own").await.as_deref(), Ok("viewer"));
    world
        .put_customer("prov", vec![grant("t-prov", &["viewer"])])
        .await;
    assert_eq!(ask("t-prov").await.as_deref(), Ok("viewer"), "another role");
    world.put_customer("prov", Vec::new()).await;
    assert_eq!(ask("t-prov").await, Err(Code::TenantForbidden), "taken away");
    world
        .put_customer("prov", vec![grant("t-prov", &["admin"])])
        .await;
    assert_eq!(ask("t-prov").await.as_deref(), Ok("admin"), "given again");
    let deleted = world.store().delete_customer(id("prov"), world.by());
    deleted.await.unwrap();
    assert_eq!(ask("t-prov").await, Err(Code::TenantForbidden));
    world
        .change(|access| {
            access.customer = Some(id("prov"));
            access.tenants.clear();
        })
        .await;
    assert_eq!(ask("t-own").await, Err(Code::TenantForbidden));
}

#[tokio::test]
async fn while_the_store_cannot_say_what_a_changed_customer_may_do_its_calls_wait_for_it() {
    let world = World::new().await;
    world.open_session("s").await;
    world
        .put_customer("prov", vec![grant("t-prov", &["operator"])])
        .await;
    world.change(|access| access.customer = Some(id("prov"))).await;
    let access = world.access(Rules::default());
    let session = || world.session(&["session"], None);
    let call = Call::get().cookie("session=s");
    assert!(world.decide(&access, session(), &call).await.is_ok());
    world.put_customer("prov", Vec::new()).await;
    world.store().close().await.unwrap();
    let refused = world.decide(&access, session(), &call).await;
    assert_eq!(refused.err(), Some(Code::StoreUnavailable));
}

#[tokio::test]
async fn the_default_tenant_is_acted_on_by_its_own_roles_and_needs_its_grant() {
    let world = World::new().await;
    world.open_session("s").await;
    let access = world.access(Rules::default());
    let ask = async || {
        let call = Call::get().cookie("session=s");
        let session = world.session(&["session"], None);
        let permit = world.decide(&access, session, &call).await?;
        Ok::<_, Code>((permit.tenant().unwrap().to_string(), roles(&permit).to_owned()))
    };
    world
        .change(|access| access.default_tenant = Some(id("t-own")))
        .await;
    assert_eq!(ask().await, Ok(("t-own".to_owned(), "viewer".to_owned())));
    world
        .change(|access| access.default_tenant = Some(id("t-lost")))
        .await;
    assert_eq!(ask().await, Err(Code::TenantForbidden));
}

#[tokio::test]
async fn who_has_roles_everywhere_acts_on_every_tenant() {
    let world = World::new().await;
    world.open_session("s").await;
    world
        .change(|access| {
            access.reach = Reach::Every;
            access.roles = ids(&["admin"]);
        })
        .await;
    let access = world.access(Rules {
        roles: ids(&["admin"]),
        ..Rules::default()
    });
    for (tenant, shown) in [
        ("anything", "admin"),
        ("t-own", "viewer admin"),
        ("t-file", "admin"),
    ] {
        let call = of_tenant(Call::get().cookie("session=s"), tenant);
        let session = world.session(&["session"], None);
        let permit = world.decide(&access, session, &call).await.unwrap();
        assert_eq!(roles(&permit), shown, "{tenant}");
        assert_eq!(permit.tenant_value().unwrap(), tenant);
        assert_eq!(permit.payer(), Some(&id("msp")));
    }
}

#[tokio::test]
async fn a_token_of_a_tenant_acts_there_by_what_is_granted_now_and_a_bound_one_nowhere_else() {
    let world = World::new().await;
    let access = world.access(Rules::default());
    world
        .issue("free", |family| family.tenant = Some(id("t-own")))
        .await;
    world
        .issue("bound", |family| {
            family.tenant = Some(id("t-own"));
            family.origin = Origin::Exchange;
        })
        .await;
    world
        .issue("ungranted", |family| family.tenant = Some(id("stranger")))
        .await;
    let ask = async |token: &str, tenant: Option<&str>| {
        let call = Call::get().bearer(token);
        let call = match tenant {
            Some(tenant) => of_tenant(call, tenant),
            None => call,
        };
        let permit = world.decide(&access, world.bearer(), &call).await?;
        Ok::<_, Code>(permit.tenant().unwrap().to_string())
    };
    let there = Ok("t-own".to_owned());
    assert_eq!(ask("free", None).await, there);
    assert_eq!(ask("free", Some("t-file")).await, Ok("t-file".to_owned()));
    assert_eq!(ask("bound", None).await, there);
    assert_eq!(ask("bound", Some("t-own")).await, there);
    for tenant in ["t-file", "msp"] {
        assert_eq!(ask("bound", Some(tenant)).await, Err(Code::TenantForbidden));
    }
    assert_eq!(ask("ungranted", None).await, Err(Code::TenantForbidden));
    world.change(|access| access.tenants.clear()).await;
    for token in ["free", "bound"] {
        assert_eq!(ask(token, None).await, Err(Code::TenantForbidden), "{token}");
    }
}

#[tokio::test]
async fn an_application_made_for_a_tenant_acts_there_on_its_providers_quota() {
    let world = World::new().await;
    let access = world.access(Rules::default());
    let mut application = world
        .store()
        .application(realm_name(), id("app"))
        .await
        .unwrap()
        .unwrap();
    application.client_id = id("minted");
    application.tenant = Some(id("t-file"));
    let created = world.store().create_application(application, world.by());
    created.await.unwrap();
    world
        .issue("minted-token", |family| {
            family.user = None;
            family.client_id = id("minted");
            family.origin = Origin::ClientCredentials;
        })
        .await;
    let call = || Call::get().bearer("minted-token");
    let permit = world.decide(&access, world.bearer(), &call()).await.unwrap();
    assert_eq!(permit.tenant(), Some(&id("t-file")));
    assert_eq!(roles(&permit), "operator");
    assert_eq!(permit.payer(), Some(&id("msp")));
    let elsewhere = of_tenant(call(), "msp");
    let refused = world.decide(&access, world.bearer(), &elsewhere).await;
    assert_eq!(refused.err(), Some(Code::TenantForbidden));
}

#[tokio::test]
async fn scopes_limit_methods_where_the_api_says_so_for_tokens_and_keys_alone() {
    let world = World::new().await;
    world
        .issue("reader", |family| family.scopes = ids(&["read"]))
        .await;
    world
        .issue("none", |family| family.scopes = ids(&["other"]))
        .await;
    world.open_session("s").await;
    let by_method = || {
        world.access(Rules {
            rule: ScopeRule::Methods,
            ..Rules::default()
        })
    };
    let named = || world.access(Rules::default());
    let missing = Some(Code::ScopeMissing);
    for (access, call, wanted) in [
        (by_method(), Call::get().bearer("reader"), None),
        (by_method(), Call::post().bearer("reader"), missing),
        (by_method(), Call::get().bearer("none"), missing),
        (named(), Call::post().bearer("reader"), None),
    ] {
        let decided = world.decide(&access, world.bearer(), &call).await;
        assert_eq!(decided.err(), wanted);
    }
    let call = Call::post().api_key("reader");
    let decided = world.decide(&by_method(), world.api_key(), &call).await;
    assert_eq!(decided.err(), missing);
    let needs_scope = world.access(Rules {
        scopes: ids(&["inventory"]),
        rule: ScopeRule::Methods,
        ..Rules::default()
    });
    for accepted in [world.session(&["session"], None), world.basic()] {
        let call = Call::post().cookie("session=s").basic("alice", "right");
        assert!(world.decide(&needs_scope, accepted, &call).await.is_ok());
    }
    // The answer names the scope that would have done and opens the least.
    let credentials = Credentials::of(vec![world.bearer()]);
    for (call, needed) in [
        (Call::get().bearer("none"), "read"),
        (Call::post().bearer("none"), "all"),
    ] {
        let presented = call.presented();
        let caller = credentials.identify(&presented, &world.clock).await.unwrap();
        match by_method().decide(caller, &presented) {
            Err(Rejection::ScopeMissing { needed: said }) => assert_eq!(said, needed),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_account_without_a_customer_is_forbidden_where_one_is_needed_and_not_told_to_sign_in_again() {
    let world = World::new().await;
    world.open_session("s").await;
    world
        .change(|access| {
            access.customer = None;
            access.tenants.clear();
        })
        .await;
    for claims in [
        RequiredClaims {
            customer: true,
            ..RequiredClaims::default()
        },
        RequiredClaims {
            tenant: true,
            ..RequiredClaims::default()
        },
    ] {
        let access = world.access(Rules {
            claims,
            ..Rules::default()
        });
        let call = Call::get().cookie("session=s");
        let session = world.session(&["session"], None);
        let decided = world.decide(&access, session, &call).await;
        assert_eq!(decided.err(), Some(Code::TenantForbidden));
    }
}
