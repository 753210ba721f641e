//! `tollgate token inspect`: what a token says, and what a gateway would say to it.

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

use super::super::command::Exit;
use super::super::run as gateway;
use super::super::terminal::{complain, say};
use super::bare;
use crate::auth::mapping::{self, BadClaim};
use crate::base::clock::{Clock, UnixTime};
use crate::config::plan::{IssuerPlan, Plan};
use crate::identity::{CredentialKind, Identity};
use crate::jose::compact::{self, LONGEST};
use crate::jose::fault::TokenFault;
use crate::jose::verify::{Policy, verify};
use crate::jose::{KeyRing, strict_json};
use crate::telemetry::metrics::Metrics;

/// Show what a token says and, with a configuration, whether it would be accepted
///
/// Without `--config` nothing is verified: what is shown is what the token claims. With it, keys are read and fetched as
/// the gateway would, and the first reason for which it would refuse the token is named; scopes, roles and tenants are
/// the routes' business. The exit code is 0 if the token would be accepted, or could be read if there is no
/// configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate token inspect eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl
  echo \"$TOKEN\" | tollgate token inspect --config config/tollgate.yaml -")]
pub(super) struct Args {
    /// The token, with or without `Bearer` before it; `-` reads it from standard input, where others cannot see it in the
    /// list of processes
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Verify it as a gateway with this configuration would
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Exit {
    let token = match read(&args.token) {
        Ok(token) => token,
        Err(error) => return fail(&error),
    };
    let clock = Clock::system();
    match described(&token, clock.unix()) {
        Ok(text) => say(&text.trim_end()),
        Err(fault) => return fail(&fault.sentence()),
    }
    let Some(file) = &args.config else {
        return Exit::Success;
    };
    // What is wrong with a configuration is said by whoever reads it. That it is wrong is not this command's finding.
    let (Ok(plan), Ok(runtime)) = (gateway::load(file), gateway::runtime()) else {
        return Exit::Failure;
    };
    match runtime.block_on(judged(&token, &plan, &clock)) {
        Ok((issuer, identity)) => {
            say(&accepted(&issuer, &identity));
            Exit::Success
        }
        Err(reason) => {
            say(&format_args!("\nverdict: refused: {reason}"));
            Exit::Failure
        }
    }
}

fn fail(error: &dyn std::fmt::Display) -> Exit {
    complain(&format_args!("tollgate token inspect: {error}"));
    Exit::Failure
}

fn read(argument: &str) -> std::io::Result<String> {
    let mut text = String::new();
    if argument == "-" {
        // More than the longest token, so that a longer one is seen to be one.
        std::io::stdin()
            .take(2 * LONGEST as u64)
            .read_to_string(&mut text)?;
    } else {
        text.push_str(argument);
    }
    Ok(bare(&text).to_owned())
}

/// Header, claims and times of a token that is not verified.
pub(super) fn described(token: &str, now: UnixTime) -> Result<String, TokenFault> {
    let parts = compact::parts(token)?;
    let object = |part, fault| strict_json::object(&compact::decode(part)?).map_err(|_| fault);
    let header = object(parts.header, TokenFault::Header)?;
    let claims = object(parts.payload, TokenFault::Claims)?;
    let mut times = String::new();
    for (name, meaning) in [("iat", "issued"), ("nbf", "begins"), ("exp", "ends")] {
        if let Some(seconds) = claims.get(name).and_then(Value::as_i64) {
            times.push_str(&format!("  {meaning:6}  {}\n", in_words(UnixTime(seconds), now)));
        }
    }
    let shown =
        |name, members: serde_json::Map<String, Value>| format!("{name}: {:#}\n", Value::Object(members));
    Ok(format!(
        "{}{}times:\n{times}",
        shown("header", header),
        shown("claims", claims)
    ))
}

/// A date, and how far it is from now.
fn in_words(time: UnixTime, now: UnixTime) -> String {
    let date = jiff::Timestamp::from_second(time.0).map_or_else(
        |_| format!("{} seconds since 1970", time.0),
        |date| date.to_string(),
    );
    let span = span_in_words(time.0.abs_diff(now.0));
    match time.0.cmp(&now.0) {
        std::cmp::Ordering::Less => format!("{date}, {span} ago"),
        std::cmp::Ordering::Equal => format!("{date}, now"),
        std::cmp::Ordering::Greater => format!("{date}, in {span}"),
    }
}

/// The two largest units that matter: `2 d 3 h`, `59 s`.
fn span_in_words(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, length) in units {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            words.push(format!("{count} {unit}"));
        } else if !words.is_empty() {
            break;
        }
        if words.len() == 2 {
            break;
        }
    }
    if words.is_empty() {
        "0 s".to_owned()
    } else {
        words.join(" ")
    }
}

/// What a gateway with this configuration would say.
pub(super) async fn judged(
    token: &str,
    plan: &Plan,
    clock: &Clock,
) -> Result<(String, Box<Identity>), String> {
    let named = compact::unverified_issuer(token);
    let issuer = plan
        .issuers
        .iter()
        .find(|issuer| named.as_deref() == Some(issuer.issuer.as_str()))
        .ok_or_else(|| match named {
            Some(issuer) => format!("no issuer of the configuration has the `iss` claim {issuer:?}"),
            None => TokenFault::Claim("iss").sentence().to_owned(),
        })?;
    let identity = judged_by(token, issuer, clock)
        .await
        .map_err(|reason| format!("{}: {reason}", issuer.name))?;
    Ok((issuer.name.to_string(), Box::new(identity)))
}

async fn judged_by(token: &str, issuer: &IssuerPlan, clock: &Clock) -> Result<Identity, String> {
    let metrics = Metrics::new().issuer(issuer.name.as_str());
    let ring = KeyRing::open(issuer, clock, metrics, None).map_err(|error| error.to_string())?;
    ring.warm().await;
    let keys = ring.keys().ok_or("there are no keys to verify it by")?;
    let claims = match verify(token, &keys, &Policy::new(issuer), clock.unix()) {
        Ok(claims) => claims,
        Err(TokenFault::UnknownKey) if ring.lacks_keys() => {
            return Err("its key is unknown, and not all keys could be fetched".to_owned());
        }
        Err(fault) => return Err(fault.sentence().to_owned()),
    };
    mapping::identity(&issuer.name, &issuer.claims, CredentialKind::Jwt, &claims)
        .map_err(|BadClaim(sentence)| sentence.to_owned())
}

fn accepted(issuer: &str, identity: &Identity) -> String {
    let words = |all: Vec<String>| {
        if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(" ")
        }
    };
    let or_none = |one: Option<String>| one.unwrap_or_else(|| "none".to_owned());
    format!(
        "\nverdict: accepted, issuer {issuer}\n  subject   {}\n  client    {}\n  customer  {}\n  tenant    {}\n  \
         tenants   {}\n  region    {}\n  scopes    {}\n  roles     {}",
        identity.subject,
        or_none(identity.client.as_ref().map(ToString::to_string)),
        or_none(identity.customer.as_ref().map(ToString::to_string)),
        or_none(identity.tenant.as_ref().map(ToString::to_string)),
        words(identity.tenants.iter().map(ToString::to_string).collect()),
        or_none(identity.region.as_ref().map(ToString::to_string)),
        words(identity.scopes.iter().map(ToString::to_string).collect()),
        words(identity.roles.iter().map(ToString::to_string).collect()),
    )
}
