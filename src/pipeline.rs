//! The way of a request, top to bottom. One line a stage, no logic: an `if` belongs to the stage that needs it.
//!
//! Every stage takes the evidence of the one before by value: a forwarded call needs an `Admission`, which only the
//! limits make, of a `Permit`, which only access makes, of a `Caller`. A request that skipped one does not compile.

mod stages;

use ::http::{Request, Response};

use crate::http::body::Body;
use crate::net::peer::Peer;
use crate::rejection::Rejection;
use crate::reply::{Answer, Reply};
use crate::shard::Shard;
use crate::snapshot::{Target, View};
use crate::trail::Trail;

/// One request, from its parsed head to the last byte of the answer.
pub async fn handle(shard: &Shard, peer: &Peer, request: Request<Body>) -> Response<Reply> {
    let view = shard.view(); //                                                    one view for the whole request
    let mut trail = Trail::begin(view.open_record(), shard.ids());
    let outcome = answer(&view, shard, peer, request, &mut trail).await;
    Reply::seal(&view, outcome, trail)
}

async fn answer(
    view: &View,
    shard: &Shard,
    peer: &Peer,
    mut request: Request<Body>,
    trail: &mut Trail,
) -> Result<Answer, Rejection> {
    let head = stages::guard(view, peer, &request, trail)?; //                        400 414 417 431 501
    let client = stages::client(view, peer, &request, &head, trail); //               who is at the other end
    let (route, captures) = stages::route(view, &head, &request, trail)?; //          404 405
    route.limits.admit_address(client.address, trail.start())?; //                    429  before anyone is known
    let presented = stages::presented(&request, &head, &client); //                   what it shows of its sender
    let caller = stages::identify(route, &presented, shard, trail).await?; //         400 401 403 503
    let permit = route.access.decide(caller, &presented)?; //                         400 401 403
    let admission = stages::admit(route, permit, &client, &head, &request, trail)?; // 429  the payer's buckets
    stages::conditions(route, &head, &request)?; //                                   400 415  what form calls have
    let region = stages::locate(view, route, &admission, &head, trail)?; //           308 421 503
    stages::body(view, route, &head, &mut request, trail).await?; //                  400 413  items, size
    match &route.target {
        Target::Backend(backend) => {
            let (to, of) = (region, &mut request);
            stages::outgoing(view, shard, route, &admission, &head, &client, to, of, trail);
            stages::rewrite(backend, &admission, &head, &captures, &mut request)?; // 400
            let mut answer = stages::forward(backend, shard, region, request, trail).await?; // 502 503 504
            stages::returning(shard, route, &admission, &mut answer, trail).await;
            Ok(Answer::Upstream(answer))
        }
        Target::Fixed(fixed) => {
            let mut answer = fixed.answer();
            stages::returning(shard, route, &admission, &mut answer, trail).await;
            Ok(Answer::Whole(answer))
        }
        Target::Own(own) => {
            let (to, of) = (own, &mut request);
            let mut answer = stages::own(to, shard, &admission, &head, &captures, &client, of).await?;
            stages::returning(shard, route, &admission, &mut answer, trail).await;
            Ok(Answer::Whole(answer))
        }
        Target::Gone => Err(Rejection::RouteGone),
    }
}
