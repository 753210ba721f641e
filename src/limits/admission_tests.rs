//! Tests of a route's limits: order, give-back, keys, whose quota, and what a reload changes.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;
use crate::accounts::directory::Directory;
use crate::base::units::{Quota, rate};
use crate::config::plan::{
    CustomerPlan, LegacyLimitHeaders, LimitFields, LimitPlan, LimitRef, TenantSelector,
};
use crate::identity::LimitName;
use crate::limits::table::Table;
use crate::rejection::RateLimited;

const NOW: Tick = Tick(1_000_000_000);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const AWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

fn quota(text: &str, burst: u32) -> Quota {
    let (tokens, per) = rate(text).unwrap();
    Quota {
        tokens,
        per,
        burst: NonZeroU32::new(burst).unwrap(),
    }
}

fn plan(name: &str, quota: Quota, per: &[LimitKey]) -> LimitPlan {
    LimitPlan {
        name: LimitName::try_from(name).unwrap(),
        quota,
        per: per.to_vec(),
        legacy: LegacyLimitHeaders::default(),
        fields: LimitFields::Refused,
    }
}

fn directory(quotas: &[(&str, Quota)]) -> Arc<Directory> {
    let customers: Vec<CustomerPlan> = quotas
        .iter()
        .map(|(customer, quota)| CustomerPlan {
            uuid: None,
            id: CustomerId::try_from(*customer).unwrap(),
            region: None,
            quotas: vec![(LimitRef::new(0), *quota)],
            tenants: Vec::new(),
        })
        .collect();
    Arc::new(Directory::new(&customers, &[]))
}

fn limit(plan: &LimitPlan) -> Arc<Limit> {
    limit_on(plan, &Arc::new(Table::new(1024)), &directory(&[]))
}

fn limit_on(plan: &LimitPlan, table: &Arc<Table>, directory: &Arc<Directory>) -> Arc<Limit> {
    let reference = LimitRef::new(0);
    Arc::new(Limit::new(
        plan,
        reference,
        Arc::clone(table),
        Arc::clone(directory),
    ))
}

fn route(name: &str, limits: &[&Arc<Limit>]) -> Limits {
    Limits::new(
        ApiName::try_from("inventory").unwrap(),
        RouteName::try_from(name).unwrap(),
        limits.iter().map(|limit| Arc::clone(limit)).collect(),
    )
}

/// A caller with an identity; what is remembered beside it is `handles`.
#[derive(Default)]
struct Caller {
    customer: Option<CustomerId>,
    tenant: Option<TenantId>,
    subject: Option<SubjectId>,
    handles: Handles,
}

impl Caller {
    fn of(customer: &str) -> Caller {
        Caller {
            customer: Some(CustomerId::try_from(customer).unwrap()),
            ..Caller::default()
        }
    }

    fn from(&self, address: IpAddr) -> Asker<'_> {
        Asker {
            payer: self.customer.as_ref(),
            tenant: self.tenant.as_ref(),
            subject: self.subject.as_ref(),
            client: None,
            named: None,
            issuer: None,
            address,
            handles: Some(&self.handles),
        }
    }
}

fn passes(limits: &Limits, asker: &Asker<'_>) -> bool {
    limits.spend(asker, NOW).is_ok()
}

/// How many of 100 calls pass.
fn passing(limits: &Limits, asker: &Asker<'_>) -> usize {
    (0..100).filter(|_| passes(limits, asker)).count()
}

fn refusal(limits: &Limits, asker: &Asker<'_>, now: Tick) -> Box<RateLimited> {
    match limits.spend(asker, now) {
        Err(Rejection::RateLimited(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn aruba_06_seven_calls_of_a_customer_pass_whoever_makes_them() {
    let limits = route(
        "a",
        &[&limit(&plan(
            "per-customer",
            quota("7/s", 7),
            &[LimitKey::Customer],
        ))],
    );
    let (one, same, other) = (Caller::of("acme"), Caller::of("acme"), Caller::of("globex"));
    // Not per token, user or address: two identities of one customer, from two places, share the bucket.
    for _ in 0..4 {
        assert!(passes(&limits, &one.from(HOME)));
    }
    assert_eq!(passing(&limits, &same.from(AWAY)), 3);
    assert_eq!(passing(&limits, &one.from(AWAY)), 0);
    assert_eq!(passing(&limits, &other.from(HOME)), 7);
    let refusal = refusal(&limits, &one.from(HOME), NOW);
    assert_eq!(
        (refusal.retry_after_seconds, refusal.limit.as_str()),
        (1, "per-customer")
    );
}

/// The issue: several limits are spent in order and given back when a later one refuses.
#[test]
fn what_was_spent_is_given_back_when_a_later_limit_refuses() {
    let wide = limit(&plan("wide", quota("1/h", 50), &[LimitKey::Customer]));
    let middle = limit(&plan("middle", quota("1/h", 20), &[LimitKey::Customer]));
    let narrow = limit(&plan("narrow", quota("1/h", 5), &[LimitKey::Customer]));
    let caller = Caller::of("acme");
    let all = route("all", &[&wide, &middle, &narrow]);
    assert_eq!(passing(&all, &caller.from(HOME)), 5);
    assert_eq!(refusal(&all, &caller.from(HOME), NOW).limit.as_str(), "narrow");
    // Only the five calls that passed were charged to the others, not the 95 that were refused.
    assert_eq!(passing(&route("middle", &[&middle]), &caller.from(HOME)), 15);
    assert_eq!(passing(&route("wide", &[&wide]), &caller.from(HOME)), 45);
    // The first limit that refuses is the one that is named, and those behind it are not touched.
    assert_eq!(refusal(&all, &caller.from(HOME), NOW).limit.as_str(), "wide");
}

#[test]
fn limits_that_need_no_caller_are_spent_before_authentication_and_are_not_given_back() {
    let door = limit(&plan("door", quota("1/h", 3), &[LimitKey::Address]));
    let empty = limit(&plan("per-customer", quota("1/h", 1), &[LimitKey::Customer]));
    let limits = route("a", &[&empty, &door]);
    let caller = Caller::of("acme");
    for call in 0..3 {
        assert!(limits.admit_address(HOME, NOW).is_ok());
        assert_eq!(passes(&limits, &caller.from(HOME)), call == 0);
    }
    assert!(matches!(
        limits.admit_address(HOME, NOW),
        Err(Rejection::RateLimited(_))
    ));
    assert!(limits.admit_address(AWAY, NOW).is_ok());
    let (near, far) = (
        "2001:db8::1".parse().unwrap(),
        "2001:db8::ffff:1".parse().unwrap(),
    );
    let accepted = (0..6)
        .filter(|call| {
            limits
                .admit_address(if call % 2 == 0 { near } else { far }, NOW)
                .is_ok()
        })
        .count();
    assert_eq!(accepted, 3, "one /64 is one client");
}

#[test]
fn without_a_value_for_the_key_the_address_is_counted_and_nobody_passes_uncounted() {
    for per in [
        LimitKey::Customer,
        LimitKey::Tenant,
        LimitKey::Subject,
        LimitKey::Client,
    ] {
        let limits = route("a", &[&limit(&plan("limit", quota("1/h", 7), &[per]))]);
        let nobody = Caller::default();
        assert_eq!(passing(&limits, &nobody.from(HOME)), 7, "{per:?}");
        assert_eq!(passing(&limits, &nobody.from(AWAY)), 7, "{per:?}");
        assert_eq!(passing(&limits, &Asker::nobody(HOME)), 0, "{per:?}");
        // And it was not remembered as that identity's bucket.
        assert!(nobody.handles.load().is_empty());
    }
    // A customer that is called like an address is not that address.
    let limits = route(
        "a",
        &[&limit(&plan("limit", quota("1/h", 7), &[LimitKey::Customer]))],
    );
    assert_eq!(passing(&limits, &Asker::nobody(HOME)), 7);
    assert_eq!(passing(&limits, &Caller::of("192.0.2.1").from(HOME)), 7);
}

#[test]
fn the_parts_of_a_key_make_separate_buckets() {
    let per_route = limit(&plan(
        "r",
        quota("1/h", 3),
        &[LimitKey::Customer, LimitKey::Route],
    ));
    let (first, second) = (route("first", &[&per_route]), route("second", &[&per_route]));
    let caller = Caller::of("acme");
    assert_eq!(passing(&first, &caller.from(HOME)), 3);
    assert_eq!(passing(&second, &caller.from(HOME)), 3);
    assert_eq!(passing(&first, &caller.from(HOME)), 0);

    // The tenant is selected call by call, so it is not remembered with the identity.
    let per_tenant = route(
        "t",
        &[&limit(&plan(
            "t",
            quota("1/h", 3),
            &[LimitKey::Customer, LimitKey::Tenant],
        ))],
    );
    let mut caller = Caller::of("acme");
    for tenant in ["north", "south"] {
        caller.tenant = Some(TenantId::try_from(tenant).unwrap());
        assert_eq!(passing(&per_tenant, &caller.from(HOME)), 3, "{tenant}");
    }
    assert_eq!(passing(&per_tenant, &caller.from(AWAY)), 0);
    assert!(caller.handles.load().is_empty());

    // A limit without the route in its key is one bucket on all routes.
    let shared = limit(&plan("s", quota("1/h", 3), &[LimitKey::Customer]));
    let (first, second) = (route("first", &[&shared]), route("second", &[&shared]));
    assert_eq!(passing(&first, &caller.from(HOME)), 3);
    assert_eq!(passing(&second, &caller.from(HOME)), 0);
}

#[test]
fn a_customer_with_its_own_quota_gets_it_and_the_others_get_the_limits() {
    let directory = directory(&[("acme", quota("100/s", 100)), ("globex", quota("2/s", 2))]);
    let limit = limit_on(
        &plan("per-customer", quota("7/s", 7), &[LimitKey::Customer]),
        &Arc::new(Table::new(1024)),
        &directory,
    );
    let limits = route("a", &[&limit]);
    let acme = Caller::of("acme");
    assert_eq!(passing(&limits, &acme.from(HOME)), 100);
    let fields = refusal(&limits, &acme.from(HOME), NOW).fields;
    assert_eq!(fields[1].1, r#""per-customer";q=100;w=1"#);
    assert_eq!(passing(&limits, &Caller::of("globex").from(HOME)), 2);
    assert_eq!(passing(&limits, &Caller::of("initech").from(HOME)), 7);
}

#[test]
fn a_reload_keeps_what_is_spent_and_a_changed_quota_rescales_it_for_warm_identities_too() {
    let table = Arc::new(Table::new(1024));
    let no_one = directory(&[]);
    let view = |quota| {
        let plan = plan("per-customer", quota, &[LimitKey::Customer]);
        route("a", &[&limit_on(&plan, &table, &no_one)])
    };
    let caller = Caller::of("acme");
    let old = view(quota("8/h", 8));
    for _ in 0..4 {
        assert!(passes(&old, &caller.from(HOME)));
    }
    let unchanged = view(quota("8/h", 8));
    assert!(passes(&unchanged, &caller.from(HOME)));
    assert!(passes(&unchanged, &caller.from(HOME)));
    // Two of eight are left: a quarter; of 40 that is 10.
    let larger = view(quota("40/h", 40));
    // A call in flight on the old view spends one as that view counts.
    assert!(passes(&unchanged, &caller.from(HOME)));
    assert_eq!(passing(&larger, &caller.from(HOME)), 5);
    assert_eq!(caller.handles.load().len(), 1, "what is stale is forgotten");
    // Empty, and it stays empty under whatever comes.
    assert_eq!(passing(&view(quota("1000/h", 1000)), &caller.from(HOME)), 0);
    assert_eq!(passing(&view(quota("1/h", 1)), &Caller::of("acme").from(HOME)), 0);
}

#[test]
fn a_limit_that_always_shows_its_fields_does_so_with_every_answer() {
    let mut shown = plan("per-customer", quota("7/s", 7), &[LimitKey::Customer]);
    shown.fields = LimitFields::Always;
    let mut door = plan("door", quota("60/m", 60), &[LimitKey::Address]);
    door.fields = LimitFields::Always;
    let silent = plan("silent", quota("1/s", 100), &[LimitKey::Customer]);
    let limits = route("a", &[&limit(&shown), &limit(&silent), &limit(&door)]);
    limits.admit_address(HOME, NOW).unwrap();
    let fields = limits.spend(&Caller::of("acme").from(HOME), NOW).unwrap();
    let lines: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(
        lines,
        [
            ("ratelimit", r#""door";r=59;t=1, "per-customer";r=6;t=1"#),
            ("ratelimit-policy", r#""door";q=60;w=60, "per-customer";q=7;w=1"#),
        ]
    );
    let quiet = route("b", &[&limit(&silent)]);
    assert!(
        quiet
            .spend(&Caller::of("acme").from(HOME), NOW)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn when_there_is_no_room_a_newcomer_is_refused_and_the_others_go_on() {
    let table = Arc::new(Table::new(64));
    let limits = route(
        "a",
        &[&limit_on(
            &plan("limit", quota("1/h", 2), &[LimitKey::Customer]),
            &table,
            &directory(&[]),
        )],
    );
    let callers: Vec<Caller> = (0..2_000)
        .map(|number| Caller::of(&format!("customer-{number}")))
        .collect();
    let (inside, outside): (Vec<&Caller>, Vec<&Caller>) = callers
        .iter()
        .partition(|caller| passes(&limits, &caller.from(HOME)));
    assert_eq!(inside.len(), 64);
    for caller in inside {
        assert_eq!(passing(&limits, &caller.from(HOME)), 1);
    }
    for caller in outside {
        let answer = limits.spend(&caller.from(HOME), NOW);
        assert!(matches!(answer, Err(Rejection::Overloaded(_))), "{answer:?}");
    }
}

/// 128 buckets at once would be more than an identity remembers: the rest is looked up, and is as right.
#[test]
fn more_limits_than_an_identity_remembers_count_all_the_same() {
    let shared = limit(&plan(
        "r",
        quota("1/h", 2),
        &[LimitKey::Customer, LimitKey::Route],
    ));
    let routes: Vec<Limits> = (0..128)
        .map(|number| route(&format!("route-{number}"), &[&shared]))
        .collect();
    let caller = Caller::of("acme");
    for limits in &routes {
        assert_eq!(passing(limits, &caller.from(HOME)), 2);
    }
    for limits in &routes {
        assert_eq!(passing(limits, &caller.from(HOME)), 0);
    }
    assert!(caller.handles.load().len() <= 16);
}

#[test]
fn a_hundred_calls_at_once_through_eight_warm_threads_pass_exactly_the_burst() {
    let limits = route(
        "a",
        &[
            &limit(&plan("wide", quota("1/h", 30), &[LimitKey::Customer])),
            &limit(&plan("narrow", quota("1/h", 7), &[LimitKey::Customer])),
        ],
    );
    let caller = Caller::of("acme");
    let accepted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..100).filter(|_| passes(&limits, &caller.from(HOME))).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(accepted, 7);
    let later = NOW.plus(Duration::from_secs(3_600));
    assert!(limits.spend(&caller.from(HOME), later).is_ok());
}

#[test]
fn every_refusal_is_counted_under_the_name_of_the_limit_that_refused() {
    let metrics = crate::telemetry::metrics::Metrics::new();
    let counted = metrics.limit("narrow");
    let plan = plan("narrow", quota("1/h", 3), &[LimitKey::Customer]);
    let table = Arc::new(Table::new(64));
    let narrow = Limit::new(&plan, LimitRef::new(0), table, directory(&[])).measured(Arc::clone(&counted));
    let wide = limit(&self::plan("wide", quota("1/h", 50), &[LimitKey::Customer]));
    let limits = route("a", &[&wide, &Arc::new(narrow)]);
    assert_eq!(passing(&limits, &Caller::of("acme").from(HOME)), 3);
    assert_eq!(counted.refusals.value(), 97);
}

/// From a token to a bucket, through the doors that a request takes.
mod with_a_token {
    use http::{HeaderMap, HeaderValue, header};
    use serde_json::{Map, json};

    use super::*;
    use crate::auth::Presented;
    use crate::auth::access::{Access, RequiredClaims};
    use crate::auth::credentials::Credentials;
    use crate::auth::jwt::Issuer;
    use crate::base::clock::{Clock, UnixTime};
    use crate::base::secret::Secret;
    use crate::config::plan::{
        AccessPlan, Algorithm, Authority, ClaimsPlan, CredentialPlan, IssuerPlan, IssuerRef, KeySource,
    };
    use crate::identity::IssuerName;
    use crate::jose::jwk::Key;
    use crate::jose::key_ring::KeyRing;
    use crate::jose::sign::SigningKey;
    use crate::telemetry::metrics::Metrics;

    struct Door {
        clock: Clock,
        key: SigningKey,
        credentials: Credentials,
        access: Access,
    }

    impl Door {
        fn new() -> Door {
            Door::of("idp")
        }

        fn of(issuer: &str) -> Door {
            let secret = Secret::new(vec![7; 32]);
            let plan = IssuerPlan {
                name: IssuerName::try_from(issuer).unwrap(),
                issuer: "https://idp.example".to_owned(),
                audience: vec!["api".to_owned()],
                algorithms: vec![Algorithm::HS256],
                keys: vec![KeySource::Secret(secret.clone())],
                claims: ClaimsPlan {
                    subject: "sub".to_owned(),
                    customer: Some("customer".to_owned()),
                    tenant: None,
                    tenants: None,
                    region: None,
                    scope: None,
                    roles: None,
                },
                leeway: Duration::from_secs(30),
                types: Vec::new(),
                cache: 16,
            };
            let metrics = Metrics::new().issuer("idp");
            let keys = KeyRing::fixed(
                vec![Arc::new(Key::secret(&secret).unwrap())],
                Arc::clone(&metrics),
            );
            let rule = AccessPlan::Required {
                credentials: vec![CredentialPlan::Bearer(Authority::Issuer(IssuerRef::new(0)))],
                scopes_any: Vec::new(),
                scopes_all: Vec::new(),
                roles_any: Vec::new(),
                roles_all: Vec::new(),
            };
            let claims = RequiredClaims {
                customer: true,
                ..RequiredClaims::default()
            };
            Door {
                clock: Clock::manual(UnixTime(1_700_000_000)),
                key: SigningKey::from_secret(&secret).unwrap(),
                credentials: Credentials::bearer(vec![Issuer::new(&plan, keys, metrics)]),
                access: Access::new(&rule, claims, directory(&[]), &TenantSelector::default()),
            }
        }

        fn token(&self, customer: &str, subject: &str) -> HeaderMap {
            let claims = json!({
                "iss": "https://idp.example", "aud": "api", "sub": subject, "exp": 1_700_003_600, "customer": customer,
            });
            let claims: &Map<_, _> = claims.as_object().unwrap();
            let token = self.key.sign(Algorithm::HS256, claims).unwrap();
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            HeaderMap::from_iter([(header::AUTHORIZATION, value)])
        }

        fn permit(&self, headers: &HeaderMap) -> Permit {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let caller = runtime
                .block_on(self.credentials.identify(&Presented::get(headers), &self.clock))
                .unwrap();
            self.access.decide(caller, &Presented::get(headers)).unwrap()
        }
    }

    #[test]
    fn aruba_06_the_tokens_of_a_customer_share_its_bucket_and_each_remembers_it() {
        let door = Door::new();
        let limits = route(
            "a",
            &[&limit(&plan(
                "per-customer",
                quota("7/h", 7),
                &[LimitKey::Customer],
            ))],
        );
        let tokens = [door.token("acme", "ann"), door.token("acme", "bob")];
        let mut accepted = 0;
        for call in 0..20 {
            let permit = door.permit(&tokens[call % 2]);
            let known = Arc::clone(permit.known().unwrap());
            match limits.admit(permit, HOME, NOW) {
                Ok(admission) => {
                    accepted += 1;
                    assert_eq!(admission.permit().payer().unwrap().as_str(), "acme");
                    assert!(admission.response_fields().is_empty());
                }
                Err(refusal) => assert!(matches!(refusal, Rejection::RateLimited(_)), "{refusal:?}"),
            }
            assert_eq!(remembered(&known).unwrap().load().len(), 1);
        }
        assert_eq!(accepted, 7);
        let other = door.permit(&door.token("globex", "ann"));
        assert!(limits.admit(other, HOME, NOW).is_ok());
    }

    #[test]
    fn subjects_of_two_issuers_with_one_name_are_two() {
        let limits = route(
            "a",
            &[&limit(&plan("limit", quota("1/h", 2), &[LimitKey::Subject]))],
        );
        let calls = |issuer: &str| {
            let door = Door::of(issuer);
            let token = door.token("acme", "1");
            (0..5)
                .filter(|_| limits.admit(door.permit(&token), HOME, NOW).is_ok())
                .count()
        };
        assert_eq!([calls("people"), calls("machines"), calls("people")], [2, 2, 0]);
    }

    #[test]
    fn a_public_route_without_limits_admits_and_one_per_customer_counts_the_address() {
        let access = Access::new(
            &AccessPlan::Public,
            RequiredClaims::default(),
            directory(&[]),
            &TenantSelector::default(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let clock = Clock::manual(UnixTime(0));
        let permit = || {
            let credentials = Credentials::public();
            let caller = runtime
                .block_on(credentials.identify(&Presented::get(&HeaderMap::new()), &clock))
                .unwrap();
            access.decide(caller, &Presented::get(&HeaderMap::new())).unwrap()
        };
        assert!(route("free", &[]).admit(permit(), HOME, NOW).is_ok());
        let limits = route(
            "a",
            &[&limit(&plan("limit", quota("1/h", 2), &[LimitKey::Customer]))],
        );
        let accepted = (0..10)
            .filter(|_| limits.admit(permit(), HOME, NOW).is_ok())
            .count();
        assert_eq!(accepted, 2);
        assert!(limits.admit(permit(), AWAY, NOW).is_ok());
    }
}

/// ARUBA-65: one bucket per step and client. Whoever names an application spends from the same one, wherever from and whoever
/// it is; a request that names none is counted by its address.
#[test]
fn aruba_65_a_limit_by_name_has_one_bucket_for_each_step_and_application() {
    let step = limit(&plan(
        "step",
        quota("1/h", 1),
        &[LimitKey::Route, LimitKey::Client],
    ));
    let login = route("login", &[&step]).by_named_client();
    let code = route("code", &[&step]).by_named_client();
    assert!(login.counts_by_name() && !route("login", &[]).by_named_client().counts_by_name());
    let named = |name: &str| ClientId::try_from(name).unwrap();
    let (one, other) = (named("one"), named("other"));
    let caller = Caller::of("acme");
    let asker = |named, address| Asker {
        named,
        ..caller.from(address)
    };
    assert!(passes(&login, &asker(Some(&one), HOME)));
    assert!(!passes(&login, &asker(Some(&one), AWAY)));
    // The identity remembers no bucket of it: the next request may name another application.
    assert!(passes(&login, &asker(Some(&other), HOME)));
    assert!(passes(&code, &asker(Some(&one), HOME)));
    assert!(passes(&login, &asker(None, HOME)) && !passes(&login, &asker(None, HOME)));
    assert!(passes(&login, &asker(None, AWAY)));
}
