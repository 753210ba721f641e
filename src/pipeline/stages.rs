//! What stands between the pipeline's lines and the modules of the stages: each function looks one thing up in the view
//! and calls the stage with it.

use std::net::IpAddr;
use std::sync::Arc;

use ::http::header::{HeaderName, SET_COOKIE};
use ::http::{HeaderMap, HeaderValue, Request, Response, Uri};

use bytes::Bytes;

use super::Trail;
use crate::auth::access::Permit;
use crate::auth::{Caller, Presented, signed_url};
use crate::config::plan::{RegionRef, Rewrite};
use crate::endpoints::Endpoint;
use crate::headers::{self, Call, Client, Injected, Scheme};
use crate::http::body::Body;
use crate::http::forwarded::{self, Trust};
use crate::http::head::Head;
use crate::http::names::X_REQUEST_ID;
use crate::http::path;
use crate::http::trace_context::TraceParent;
use crate::limits::Admission;
use crate::net::peer::Peer;
use crate::oauth::{self, Asked};
use crate::rejection::{BadRequest, Rejection};
use crate::routing::region::Home;
use crate::routing::router::{Captures, MissKind};
use crate::shard::Shard;
use crate::snapshot::{Backend, Route, Target, View};
use crate::upstream::{UpstreamBody, UpstreamNote};

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");

/// Who is at the other end of the wire.
pub(super) struct ClientFacts {
    /// The client's own address, as far as the proxies in front are trusted.
    pub(super) address: IpAddr,
    /// The connection's address, as a field value.
    peer: HeaderValue,
    trust: Trust,
    scheme: Scheme,
}

/// Refuses what may be read in two ways.
pub(super) fn guard(
    view: &View,
    peer: &Peer,
    request: &Request<Body>,
    trail: &mut Trail,
) -> Result<Head, Rejection> {
    trail.record.over(request.version(), peer.tls.is_some());
    let head = view.guard.check(request, peer.tls.is_some()).inspect_err(|_| {
        // Nothing of the request is relied on, but who sent it must be found.
        let (address, _) = client_address(view, peer, request.headers());
        trail.record.from(address, peer.address.ip());
    })?;
    if trail.record.is_logged() {
        trail
            .record
            .asked(request.method(), head.host(), head.path(), head.query());
    }
    Ok(head)
}

/// Finds out whose call it is on the network's level.
pub(super) fn client(
    view: &View,
    peer: &Peer,
    request: &Request<Body>,
    _head: &Head,
    trail: &mut Trail,
) -> ClientFacts {
    let ip = peer.address.ip();
    let (address, trust) = client_address(view, peer, request.headers());
    if peer.trusted {
        trail.call(single(request.headers(), &X_REQUEST_ID));
    }
    trail.record.from(address, ip);
    trail
        .record
        .user_agent(request.headers().get(::http::header::USER_AGENT));
    let own = if peer.tls.is_some() {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let scheme = forwarded::scheme(own, trust, request.headers());
    ClientFacts {
        address,
        peer: peer.address_value.clone(),
        trust,
        scheme,
    }
}

fn client_address(view: &View, peer: &Peer, headers: &HeaderMap) -> (IpAddr, Trust) {
    let ip = peer.address.ip();
    if peer.trusted {
        (
            forwarded::client_address(ip, &view.trusted, headers),
            Trust::Believed,
        )
    } else {
        (ip, Trust::Stranger)
    }
}

/// The only line of a field.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// Finds the route.
pub(super) fn route<'v>(
    view: &'v View,
    head: &'v Head,
    request: &Request<Body>,
    trail: &mut Trail,
) -> Result<(&'v Route, Captures<'v>), Rejection> {
    match view.router.find(head.host(), head.path(), request.method()) {
        Ok(found) => {
            trail.api = Some(found.api);
            trail.record.matched(&found.payload.metrics);
            Ok((found.payload, found.captures))
        }
        Err(miss) => {
            trail.api = miss.api;
            Err(match miss.kind {
                MissKind::NoHost | MissKind::NoRoute => Rejection::NoRoute,
                MissKind::Method { allow } => Rejection::MethodNotAllowed { allow },
            })
        }
    }
}

/// Spends the limits that count the caller, or the application that the request names where the route has one named.
pub(super) fn admit(
    route: &Route,
    permit: Permit,
    client: &ClientFacts,
    head: &Head,
    request: &Request<Body>,
    trail: &mut Trail,
) -> Result<Admission, Rejection> {
    let named = match &route.client {
        Some(source) if route.limits.counts_by_name() => {
            // A name that is no name, or two of them: counted by address, and refused by the endpoint.
            oauth::client::named(source, head.query(), request.headers()).unwrap_or_default()
        }
        Some(_) | None => None,
    };
    let admission = route
        .limits
        .admit_named(permit, client.address, named.as_ref(), trail.start())?;
    trail.admitted(&admission);
    Ok(admission)
}

/// Answers a call to an endpoint of our own. Boxed: such calls are few, and the others need not make room for them.
pub(super) async fn own(
    endpoint: &Endpoint,
    shard: &Shard,
    admission: &Admission,
    head: &Head,
    captures: &Captures<'_>,
    client: &ClientFacts,
    request: &mut Request<Body>,
) -> Result<Response<Bytes>, Rejection> {
    let body = std::mem::take(request.body_mut());
    let asked = Asked {
        method: request.method(),
        headers: request.headers(),
        query: head.query(),
        tenant: captures.get("tenant"),
        named: captures.get("id").or_else(|| captures.get("uuid")),
        path: head.path(),
        authority: head.authority(),
        scheme: client.scheme,
        permit: admission.permit(),
        now: shard.clock().unix(),
    };
    Box::pin(endpoint.answer(&asked, body)).await
}

/// What the request shows of its sender.
pub(super) fn presented<'r>(
    request: &'r Request<Body>,
    head: &'r Head,
    client: &ClientFacts,
) -> Presented<'r> {
    Presented {
        headers: request.headers(),
        method: request.method(),
        path: head.path(),
        query: head.query(),
        scheme: client.scheme,
        authority: head.authority(),
    }
}

/// Finds out who calls, and brings up to date what is known of the caller's customer.
pub(super) async fn identify(
    route: &Route,
    presented: &Presented<'_>,
    shard: &Shard,
    trail: &mut Trail,
) -> Result<Caller, Rejection> {
    let caller = route.credentials.identify(presented, shard.clock()).await?;
    trail.identified(&caller);
    trail.renewal = route.credentials.renewal(&caller, presented);
    route.access.settle(&caller, presented.headers).await?;
    Ok(caller)
}

/// Refuses a call whose form the route does not take: its version, its media type, its parameters.
pub(super) fn conditions(route: &Route, head: &Head, request: &Request<Body>) -> Result<(), Rejection> {
    match &route.conditions {
        Some(conditions) => conditions.check(request, head.query()),
        None => Ok(()),
    }
}

/// Finds the region, and refuses a call at the wrong door, or one that nobody there is ready for.
pub(super) fn locate(
    view: &View,
    route: &Route,
    admission: &Admission,
    head: &Head,
    trail: &mut Trail,
) -> Result<Option<RegionRef>, Rejection> {
    let permit = admission.permit();
    let home = Home {
        claim: permit.claim_region(),
        directory: permit.directory_region(),
    };
    let region = view.regions.locate(&route.region, home, head)?;
    if let Some(name) = region.and_then(|region| view.regions.name(region)) {
        trail.record.region(name.as_str());
    }
    match &route.target {
        Target::Backend(backend) => backend.check_ready(region)?,
        Target::Fixed(_) | Target::Own(_) | Target::Gone => {}
    }
    Ok(region)
}

/// Counts items where the route caps them, and puts the route's bounds around the body.
pub(super) async fn body(
    view: &View,
    route: &Route,
    head: &Head,
    request: &mut Request<Body>,
    trail: &mut Trail,
) -> Result<(), Rejection> {
    let body = std::mem::take(request.body_mut());
    if body.declared().is_some_and(|length| length > route.body_limit) {
        return Err(Rejection::BodyTooLarge {
            limit: route.body_limit,
        });
    }
    let (body, fate) = body.guarded(
        route.body_limit,
        view.body_idle,
        Some(Arc::clone(route.outgoing.managed())),
    );
    trail.fate = fate;
    *request.body_mut() = match &route.items {
        Some(cap) => {
            cap.check_query(head.query())?;
            cap.check_body(request.headers(), body).await?
        }
        None => body,
    };
    Ok(())
}

/// Makes the client's header that of the call to the backend.
#[expect(
    clippy::too_many_arguments,
    reason = "all that is known of the call goes into its header"
)]
pub(super) fn outgoing(
    view: &View,
    shard: &Shard,
    route: &Route,
    admission: &Admission,
    head: &Head,
    client: &ClientFacts,
    region: Option<RegionRef>,
    request: &mut Request<Body>,
    trail: &mut Trail,
) {
    let permit = admission.permit();
    let mut random = [0; 24];
    for (chunk, number) in random
        .chunks_exact_mut(8)
        .zip(std::iter::repeat_with(|| shard.ids().draw()))
    {
        chunk.copy_from_slice(&number.to_ne_bytes());
    }
    let trace = TraceParent::continue_or_begin(request.headers(), random);
    trail.traced(&trace.0);
    let request_id = trail.id_value();
    let call = Call {
        head,
        injected: Injected {
            tenant: permit.tenant_value(),
            tenant_uuid: permit.tenant_uuid_value(),
            customer: permit.customer_value(),
            subject: permit.subject_value(),
            region: view.region_value(region),
            scopes: permit.scopes_value(),
            roles: permit.roles_value(),
            bearer: permit.bearer_value(),
        },
        client: Client {
            peer: &client.peer,
            trust: client.trust,
            scheme: client.scheme,
        },
        request_id: &request_id,
        trace,
    };
    route.outgoing.apply(request.headers_mut(), &call);
}

/// Sets the target that the backend sees: what was matched, or what the route makes of it.
pub(super) fn rewrite(
    backend: &Backend,
    admission: &Admission,
    head: &Head,
    captures: &Captures<'_>,
    request: &mut Request<Body>,
) -> Result<(), Rejection> {
    let target = match &backend.rewrite {
        Rewrite::Keep => Some(head.target().clone()),
        Rewrite::StripPrefix(prefix) => {
            let rest = head.path().strip_prefix(prefix.as_str()).unwrap_or(head.path());
            if rest.starts_with('/') {
                head.target_with_path(rest)
            } else {
                head.target_with_path(&format!("/{rest}"))
            }
        }
        // A tail before another segment may be empty or end with a slash.
        Rewrite::Template(template) => Some(filled(template, captures))
            .filter(|path| path::is_normal(path))
            .and_then(|path| head.target_with_path(&path)),
    };
    let mut target = target.ok_or(Rejection::BadRequest(BadRequest::Path))?;
    if admission.permit().is_by_signed_url()
        && let Some(unsigned) = signed_url::unsigned(&target)
    {
        target = unsigned;
    }
    *request.uri_mut() = Uri::from(target);
    Ok(())
}

/// The template with each `{name}` replaced by its capture. The plan checked that the names are the pattern's.
fn filled(template: &str, captures: &Captures<'_>) -> String {
    let mut path = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        path.push_str(captures.get(name.trim_start_matches('*')).unwrap_or_default());
        rest = after;
    }
    path.push_str(rest);
    path
}

/// Sends the call and waits for the head of the answer.
pub(super) async fn forward(
    backend: &Backend,
    shard: &Shard,
    region: Option<RegionRef>,
    call: Request<Body>,
    trail: &mut Trail,
) -> Result<Response<UpstreamBody>, Rejection> {
    let mut note = UpstreamNote::default();
    let outcome = backend
        .service
        .forward(shard.number(), region, call, trail.fate.clone(), &mut note)
        .await;
    let to_head = outcome.is_ok().then_some(note.first_byte);
    if let (Some(span), Some(metrics)) = (to_head, backend.measured(region)) {
        metrics.duration.observe(span);
    }
    trail
        .record
        .upstream(&backend.name, note.endpoint.as_deref(), note.attempts, to_head);
    outcome
}

/// Makes the answer the client's: hop-by-hop fields off, what the limits, the route and the session say on.
pub(super) async fn returning<B>(
    shard: &Shard,
    route: &Route,
    admission: &Admission,
    answer: &mut Response<B>,
    trail: &mut Trail,
) {
    let fields = answer.headers_mut();
    headers::returning(fields);
    for (name, value) in admission.response_fields() {
        fields.insert(name, value.clone());
    }
    if let Some(deprecated) = &route.deprecated {
        fields.insert(DEPRECATION, deprecated.clone());
    }
    if let Some(renewal) = trail.renewal.take() {
        // Rare: not a part of every request's future.
        let renewed = Box::pin(renewal.perform(shard.clock().unix())).await;
        if let Some(cookie) = renewed {
            fields.append(SET_COOKIE, cookie);
        }
    }
}
