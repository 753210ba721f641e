//! Files with keys, certificates and secrets, and names: looked at when the configuration is loaded, so that a wrong file
//! is found by `check` and not by the first client.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::scope::Scope;
use crate::base::secret::Secret;
use crate::config::excerpt::is_variable_name;
use crate::config::node::Mark;
use crate::config::raw::RawSecret;
use crate::config::read::At;
use crate::config::source::reason;
use crate::config::text::{FilePath, Length, Variable};
use crate::identity::ids::BadId;

/// Largest key, certificate or secret file, in bytes.
const LARGEST: u64 = 1 << 20;
/// Shortest secret for HS256: as long as its hash (RFC 7518 section 3.2).
const SHORTEST_SECRET: usize = 32;

/// A key of a map as an identifier.
pub(super) fn name<T: for<'t> TryFrom<&'t str, Error = BadId>>(
    name: &At<String>,
    kind: &str,
    scope: &mut Scope<'_>,
) -> Option<T> {
    match T::try_from(&name.value) {
        Ok(good) => Some(good),
        Err(bad) => {
            scope.error(
                "bad-name",
                name.mark,
                format!("the name of this {kind} {bad}"),
                "names are made of letters, digits and `-_.:@/|+=~`",
            );
            None
        }
    }
}

/// A PEM file with at least one certificate.
pub(super) fn certificates(file: &At<FilePath>, scope: &mut Scope<'_>) -> PathBuf {
    let path = scope.path(file);
    if let Some(text) = text(&path, file, scope)
        && !text.contains("-----BEGIN CERTIFICATE-----")
    {
        scope.error(
            "bad-file",
            file.mark,
            format!("`{}` holds no certificate", file.shown(path.display())),
            "a PEM file is wanted, with `-----BEGIN CERTIFICATE-----`",
        );
    }
    path
}

/// A PEM file with a private key.
pub(super) fn private_key(file: &At<FilePath>, scope: &mut Scope<'_>) -> PathBuf {
    let path = scope.path(file);
    if let Some(text) = text(&path, file, scope) {
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            scope.error(
                "bad-file",
                file.mark,
                format!("the key in `{}` is encrypted", file.shown(path.display())),
                "decrypt it, and protect the file by its permissions",
            );
        } else if !text.contains("PRIVATE KEY-----") {
            scope.error(
                "bad-file",
                file.mark,
                format!("`{}` holds no private key", file.shown(path.display())),
                "a PEM file is wanted, with `-----BEGIN PRIVATE KEY-----`",
            );
        }
    }
    path
}

/// What a file with verification keys holds.
pub(super) enum PublicKeys {
    /// PEM.
    Pem(PathBuf),
    /// A JWK or a JWK set.
    Jwk(PathBuf),
}

/// A file with public keys, in PEM or as JWK; told apart by what is in it.
pub(super) fn public_keys(file: &At<FilePath>, scope: &mut Scope<'_>) -> PublicKeys {
    let path = scope.path(file);
    let Some(text) = text(&path, file, scope) else {
        return PublicKeys::Pem(path);
    };
    let shown = file.shown(path.display());
    if text.trim_start().starts_with('{') {
        if let Err(message) = check_jwk(&text) {
            scope.error(
                "bad-file",
                file.mark,
                format!("`{shown}` {message}"),
                "a JWK or a JWK set with public keys is wanted (RFC 7517)",
            );
        }
        return PublicKeys::Jwk(path);
    }
    if text.contains("PRIVATE KEY-----") {
        scope.error(
            "private-key",
            file.mark,
            format!("`{shown}` holds a private key; to verify tokens the public one is enough"),
            "keep the private key with whoever signs; write the public key with `openssl pkey -pubout`",
        );
    } else if ![
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN RSA PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
    ]
    .iter()
    .any(|begin| text.contains(begin))
    {
        scope.error(
            "bad-file",
            file.mark,
            format!("`{shown}` holds no public key"),
            "a public key or a certificate in PEM is wanted, or a JWK set",
        );
    }
    PublicKeys::Pem(path)
}

fn check_jwk(text: &str) -> Result<(), String> {
    let document: serde_json::Value = serde_json::from_str(text).map_err(|_| "is no JSON".to_owned())?;
    let keys = match document.get("keys") {
        Some(serde_json::Value::Array(keys)) if keys.is_empty() => return Err("has no key".to_owned()),
        Some(serde_json::Value::Array(keys)) => keys.as_slice(),
        Some(_) => return Err("has a `keys` that is no list".to_owned()),
        None => std::slice::from_ref(&document),
    };
    for key in keys {
        match key.get("kty").and_then(serde_json::Value::as_str) {
            None => return Err("has a key without `kty`".to_owned()),
            Some("oct") => return Err("holds a shared secret; give it as `secret:`".to_owned()),
            Some(_) if key.get("d").is_some() => return Err("holds a private key".to_owned()),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Where a text stands that is not in the configuration itself.
#[derive(Clone, Copy)]
pub(super) enum Source<'r> {
    /// In this file.
    File(&'r At<FilePath>),
    /// In this variable.
    Environment(&'r At<Variable>),
}

/// The secret itself. It is in no message; neither is a text that may be it.
pub(super) fn secret(raw: &At<RawSecret>, scope: &mut Scope<'_>) -> Option<Secret> {
    let source = match &raw.value {
        RawSecret::File(file) => Source::File(file),
        RawSecret::Environment(variable) => Source::Environment(variable),
    };
    let (bytes, mark, from) = bytes_of(source, "set it to the secret, at least 32 bytes", scope)?;
    if bytes.len() < SHORTEST_SECRET {
        let message = format!(
            "the secret in {from} has {} bytes; it needs at least 32",
            bytes.len()
        );
        scope.error(
            "secret-too-short",
            mark,
            message,
            "make one with `openssl rand -base64 48`",
        );
        return None;
    }
    Some(Secret::new(bytes))
}

/// A text from a file or a variable, without the line ends at its end: the text, where it is named, and how to call it. The text
/// is in no message. `hint` is for a variable that is not set.
pub(super) fn text_of(
    source: Source<'_>,
    hint: &str,
    scope: &mut Scope<'_>,
) -> Option<(String, Mark, String)> {
    let (bytes, mark, from) = bytes_of(source, hint, scope)?;
    match String::from_utf8(bytes) {
        Ok(text) => Some((text, mark, from)),
        Err(_) => {
            scope.error("bad-file", mark, format!("{from} holds no text"), hint);
            None
        }
    }
}

fn bytes_of(source: Source<'_>, hint: &str, scope: &mut Scope<'_>) -> Option<(Vec<u8>, Mark, String)> {
    let (mut bytes, mark, from) = match source {
        Source::File(file) => {
            let path = scope.path(file);
            (
                bytes(&path, file, scope)?,
                file.mark,
                format!("the file `{}`", file.shown(path.display())),
            )
        }
        Source::Environment(variable) => {
            let name = &variable.value.0;
            let from = if is_variable_name(name) {
                format!("the environment variable `{}`", variable.shown(name))
            } else {
                "the environment variable named here".to_owned()
            };
            let Some(value) = (scope.environment)(name) else {
                scope.error(
                    "variable-not-set",
                    variable.mark,
                    format!("{from} is not set"),
                    hint,
                );
                return None;
            };
            (value.into_bytes(), variable.mark, from)
        }
    };
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    Some((bytes, mark, from))
}

/// A span that is kept and told in seconds.
pub(super) fn whole_seconds(name: &str, length: &At<Length>, scope: &mut Scope<'_>) -> Duration {
    let span = length.value.0;
    if span.subsec_nanos() != 0 {
        scope.error(
            "bad-value",
            length.mark,
            format!("`{name}` is whole seconds"),
            "write it without `ms`",
        );
    }
    span
}

/// A file that is made when it is missing; its folder is not. It is not watched: the gateway writes it itself.
pub(super) fn written(file: &At<FilePath>, scope: &mut Scope<'_>) -> PathBuf {
    let path = scope.unwatched_path(file);
    if path.is_dir() {
        scope.error(
            "bad-file",
            file.mark,
            format!("`{}` is a directory", file.shown(path.display())),
            "name the file in it",
        );
    } else {
        folder_of(&path, file, scope);
    }
    path
}

/// A folder that is made when it is missing; the one that it stands in is not.
pub(super) fn written_folder(folder: &At<FilePath>, scope: &mut Scope<'_>) -> PathBuf {
    let path = scope.unwatched_path(folder);
    if path.is_file() {
        scope.error(
            "bad-file",
            folder.mark,
            format!("`{}` is a file", folder.shown(path.display())),
            "name the folder that it stands in, or a new one",
        );
    } else if !path.is_dir() {
        folder_of(&path, folder, scope);
    }
    path
}

fn folder_of(path: &Path, named: &At<FilePath>, scope: &mut Scope<'_>) {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    if !folder.is_dir() {
        scope.error(
            "folder-missing",
            named.mark,
            format!("the folder of `{}` is not there", named.shown(path.display())),
            "make it, so that the gateway's user can write to it",
        );
    }
}

fn text(path: &Path, file: &At<FilePath>, scope: &mut Scope<'_>) -> Option<String> {
    let bytes = bytes(path, file, scope)?;
    // PEM may stand in a file with other bytes around; what matters is found in the lossy text too.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn bytes(path: &Path, file: &At<FilePath>, scope: &mut Scope<'_>) -> Option<Vec<u8>> {
    match read(path) {
        Ok(bytes) => Some(bytes),
        Err(why) => {
            unreadable(file.mark, &file.shown(path.display()), &why, scope);
            None
        }
    }
}

fn unreadable(mark: Mark, shown: &str, why: &Unreadable, scope: &mut Scope<'_>) {
    scope.error(
        "file-unreadable",
        mark,
        format!("cannot read `{shown}`: {}", why.what),
        why.hint,
    );
}

/// Why a file cannot be read, and what to do.
struct Unreadable {
    what: String,
    hint: &'static str,
}

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Unreadable {
        Unreadable {
            what: reason(&error),
            hint: match error.kind() {
                std::io::ErrorKind::PermissionDenied => "let the user that the gateway runs as read it",
                _ => "names are relative to the file that they stand in",
            },
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        Err(Unreadable {
            what: "it is larger than 1 MiB".to_owned(),
            hint: "is this the file that is meant?",
        })
    } else {
        Ok(bytes)
    }
}
