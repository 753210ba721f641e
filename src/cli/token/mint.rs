//! `tollgate token mint`: signs claims with a key of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::command::Exit;
use super::super::terminal::{complain, say};
use crate::base::clock::{Clock, UnixTime};
use crate::base::secret::Secret;
use crate::base::units;
use crate::config::plan::Algorithm;
use crate::jose::algorithm;
use crate::jose::sign::{SignError, SigningKey};

// `{n}` would be the shorter name, but clap makes a line end of it in its help.
/// Sign a token, or many
///
/// The claims `iss`, `aud`, `sub`, `iat`, `nbf` and `exp` are set from the options; `--claim` adds others, or replaces
/// these. A claim's value is JSON where it can be read as JSON and text otherwise: `--claim admin=true` is a boolean,
/// `--claim 'id="7"'` is the text 7. With `--count`, `{number}` in the subject and in texts of claims becomes 1, 2, 3
/// and so on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tollgate token mint --key signing.pem --kid k1 --issuer https://idp.example/ --audience central \\
      --subject alice --claim customer_id=acme --claim 'scope=read write' --ttl 2h
  tollgate token mint --secret-file secret --issuer test --audience central \\
      --claim 'customer_id=c{number}' --count 1000")]
pub(super) struct Args {
    /// The private key: PEM (PKCS #8, PKCS #1 or SEC 1) or a JWK
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "secret_file",
        conflicts_with = "secret_file"
    )]
    key: Option<PathBuf>,
    /// A shared secret for HS256, at least 32 bytes; line ends after it are not part of it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The algorithm: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256; the usual one of the key if
    /// left out
    #[arg(long, value_name = "NAME", value_parser = algorithm_named)]
    alg: Option<Algorithm>,
    /// The key's name in the header; that of the JWK if left out
    #[arg(long, value_name = "NAME")]
    kid: Option<String>,
    /// The `iss` claim
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The `aud` claim; an array if repeated
    #[arg(long, value_name = "NAME", required = true)]
    audience: Vec<String>,
    /// The `sub` claim
    #[arg(long, value_name = "TEXT", default_value = "tollgate-token-mint")]
    subject: String,
    /// A further claim; can be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// For how long the token is good
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = units::duration)]
    ttl: Duration,
    /// As if signed so long ago: with more than `--ttl` the token has expired
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = units::duration)]
    ago: Duration,
    /// Tokens to sign, one a line
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

pub(super) fn run(args: &Args) -> Exit {
    match tokens(args, Clock::system().unix(), |token| say(&token)) {
        Ok(()) => Exit::Success,
        Err(error) => {
            complain(&format_args!("tollgate token mint: {error}"));
            Exit::Failure
        }
    }
}

/// Why no token was signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum MintError {
    #[error("cannot read {path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}", path = path.display())]
    Key { path: PathBuf, source: SignError },
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Signs every token and hands it to `each` at once, so that a million of them need no memory.
pub(super) fn tokens(args: &Args, now: UnixTime, mut each: impl FnMut(String)) -> Result<(), MintError> {
    let key = signing_key(args)?;
    let algorithm = args.alg.unwrap_or_else(|| key.usual_algorithm());
    for number in 1..=args.count {
        each(key.sign(algorithm, &claims(args, now, number))?);
    }
    Ok(())
}

fn signing_key(args: &Args) -> Result<SigningKey, MintError> {
    let of = |path: &Path, key: Result<SigningKey, SignError>| {
        key.map_err(|source| MintError::Key {
            path: path.to_owned(),
            source,
        })
    };
    let key = match (&args.key, &args.secret_file) {
        (Some(path), _) => {
            let content = read(path)?;
            let is_jwk = content.reveal().iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
            let key = if is_jwk {
                SigningKey::from_jwk(content.reveal())
            } else {
                SigningKey::from_pem(content.reveal())
            };
            of(path, key)?
        }
        (None, Some(path)) => of(path, SigningKey::from_secret(&line(&read(path)?)))?,
        (None, None) => return Err(SignError::Key("give --key or --secret-file").into()),
    };
    Ok(match &args.kid {
        Some(name) => key.named(name),
        None => key,
    })
}

fn read(path: &Path) -> Result<Secret, MintError> {
    fs::read(path).map(Secret::new).map_err(|source| MintError::File {
        path: path.to_owned(),
        source,
    })
}

/// A secret from a file, as the configuration reads it: editors end a file with line ends that are not part of it.
fn line(content: &Secret) -> Secret {
    let mut bytes = content.reveal();
    while let Some(rest) = bytes.strip_suffix(b"\n").or_else(|| bytes.strip_suffix(b"\r")) {
        bytes = rest;
    }
    Secret::new(bytes.to_vec())
}

fn claims(args: &Args, now: UnixTime, number: u32) -> Map<String, Value> {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let issued = now.0.saturating_sub(seconds(args.ago));
    let audience = match args.audience.as_slice() {
        [only] => Value::from(only.as_str()),
        several => Value::from(several),
    };
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), Value::from(args.issuer.as_str()));
    claims.insert("aud".to_owned(), audience);
    claims.insert("sub".to_owned(), Value::from(numbered(&args.subject, number)));
    claims.insert("iat".to_owned(), Value::from(issued));
    claims.insert("nbf".to_owned(), Value::from(issued));
    claims.insert(
        "exp".to_owned(),
        Value::from(issued.saturating_add(seconds(args.ttl))),
    );
    for (name, value) in &args.claims {
        claims.insert(name.clone(), filled(value, number));
    }
    claims
}

fn filled(value: &Value, number: u32) -> Value {
    match value {
        Value::String(text) => Value::String(numbered(text, number)),
        Value::Array(elements) => elements.iter().map(|element| filled(element, number)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), filled(value, number)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn numbered(text: &str, number: u32) -> String {
    text.replace("{number}", &number.to_string())
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

fn algorithm_named(text: &str) -> Result<Algorithm, String> {
    algorithm::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = algorithm::ALL.into_iter().map(algorithm::name).collect();
        format!("`{text}` is none of {}", names.join(", "))
    })
}
