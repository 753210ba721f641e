//! `tollgate dev-cert`: certificates for development and tests, made here and trusted nowhere.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};

use super::command::Exit;
use super::terminal::{complain, say};
use crate::base::clock::{Clock, UnixTime};
use crate::http::host;

/// Make a certificate and its key for development
///
/// Writes `chain.pem` (the certificate, then the authority's), `key.pem` (0600) and, with `--ca`, `ca.pem` and
/// `ca-key.pem` (0600), which can be trusted in a client.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tollgate dev-cert --out certs --name localhost --name 127.0.0.1 --ca")]
pub(super) struct Args {
    /// Directory to write to; it is made when it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Host name, `*.` wildcard or IP address that the certificate is for; can be repeated
    #[arg(long = "name", value_name = "NAME", value_parser = name, default_values = ["localhost", "127.0.0.1", "::1"])]
    names: Vec<String>,
    /// Keep the authority: write its certificate and key too
    #[arg(long)]
    ca: bool,
    /// Days that the certificate lasts, 1 to 825 (more is refused by some clients)
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=825))]
    days: u16,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

/// A name that a client can ask for.
fn name(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix("*.").unwrap_or(text);
    if text.parse::<IpAddr>().is_ok() || (!bare.contains(':') && host::canonical(bare).is_some()) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no host name, wildcard or IP address"))
    }
}

/// Runs the command; it fails when not everything was written.
pub(super) fn run(args: &Args) -> Exit {
    match write(args) {
        Ok(files) => {
            for file in files {
                say(&format_args!("wrote {}", file.display()));
            }
            Exit::Success
        }
        Err(error) => {
            complain(&format_args!("tollgate dev-cert: {error}"));
            Exit::Failure
        }
    }
}

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
enum DevCertError {
    #[error("{} is there already; say --force to overwrite it", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}: {reason}", path.display())]
    Write { path: PathBuf, reason: io::Error },
    #[error("cannot make a certificate for these names: {0}")]
    Names(#[from] rcgen::Error),
}

fn write(args: &Args) -> Result<Vec<PathBuf>, DevCertError> {
    let made = make(&args.names, args.days)?;
    let chain = format!("{}{}", made.leaf, made.authority);
    let mut files = vec![("chain.pem", chain, PUBLIC), ("key.pem", made.leaf_key, PRIVATE)];
    if args.ca {
        files.push(("ca.pem", made.authority, PUBLIC));
        files.push(("ca-key.pem", made.authority_key, PRIVATE));
    }
    // All or nothing, as far as it can be known before: a chain beside somebody else's key is no use.
    if !args.force {
        for (name, ..) in &files {
            let path = args.out.join(name);
            if path.exists() {
                return Err(DevCertError::Exists(path));
            }
        }
    }
    fs::create_dir_all(&args.out).map_err(|reason| DevCertError::Write {
        path: args.out.clone(),
        reason,
    })?;
    let mut written = Vec::new();
    for (name, text, mode) in files {
        let path = args.out.join(name);
        put(&path, &text, mode, args.force).map_err(|reason| match reason.kind() {
            io::ErrorKind::AlreadyExists => DevCertError::Exists(path.clone()),
            _ => DevCertError::Write {
                path: path.clone(),
                reason,
            },
        })?;
        written.push(path);
    }
    Ok(written)
}

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

fn put(path: &Path, text: &str, mode: u32, force: bool) -> io::Result<()> {
    if force {
        // Not written over: the file that is there may be readable by others.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// PEM texts of a certificate and of the authority that signed it.
struct Made {
    leaf: String,
    leaf_key: String,
    authority: String,
    authority_key: String,
}

fn make(names: &[String], days: u16) -> Result<Made, rcgen::Error> {
    let now = Clock::system().unix();

    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named("Tollgate development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasting(&mut params, now, days);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = named(names.first().map_or("localhost", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // For both directions, so that the same files can play a client in a test of client certificates.
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    lasting(&mut params, now, days);
    let key = KeyPair::generate()?;
    let leaf = params.signed_by(&key, &authority)?;

    Ok(Made {
        leaf: leaf.pem(),
        leaf_key: key.serialize_pem(),
        authority: authority.pem(),
        authority_key: authority.key().serialize_pem(),
    })
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// From a day ago, since clocks of machines in one room differ.
fn lasting(params: &mut CertificateParams, now: UnixTime, days: u16) {
    let now = Duration::from_secs(u64::try_from(now.0).unwrap_or(0));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(DAY);
    params.not_after = epoch + now + DAY * u32::from(days);
}

const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::plan::CertificatePlan;
    use crate::net::tls_server::Certificate;

    fn args(out: &Path, names: &[&str], ca: bool, force: bool) -> Args {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Args {
            out: out.to_owned(),
            names,
            ca,
            days: 90,
            force,
        }
    }

    #[test]
    fn the_files_are_a_certificate_that_a_listener_takes() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("certs");
        assert_eq!(
            run(&args(
                &out,
                &["localhost", "127.0.0.1", "*.example.com"],
                true,
                false
            )),
            Exit::Success
        );
        let plan = CertificatePlan {
            chain: out.join("chain.pem"),
            key: out.join("key.pem"),
        };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certificate = Certificate::read(&plan, &provider).unwrap();
        assert_eq!(certificate.facts().names, ["localhost", "*.example.com"]);
        let lasts = certificate.facts().not_after.0 - Clock::system().unix().0;
        assert!((89 * 86_400..=90 * 86_400).contains(&lasts), "{lasts}");
        for (file, mode) in [("key.pem", 0o600), ("ca-key.pem", 0o600)] {
            let found = fs::metadata(out.join(file)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{file}");
        }
    }

    #[test]
    fn what_is_there_is_not_overwritten_unless_forced() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        fs::write(out.join("key.pem"), "mine").unwrap();
        assert_eq!(run(&args(out, &["localhost"], false, false)), Exit::Failure);
        assert_eq!(fs::read_to_string(out.join("key.pem")).unwrap(), "mine");
        assert!(!out.join("chain.pem").exists());
        assert_eq!(run(&args(out, &["localhost"], false, true)), Exit::Success);
        assert!(
            fs::read_to_string(out.join("key.pem"))
                .unwrap()
                .starts_with("-----BEGIN PRIVATE KEY-----")
        );
        assert!(!out.join("ca-key.pem").exists());
    }

    #[test]
    fn a_name_that_no_client_can_ask_for_is_refused() {
        for good in ["localhost", "a.example.com", "*.example.com", "127.0.0.1", "::1"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "a b",
            "https://a",
            "a.example.com:8443",
            "*",
            "a.*.com",
            "[::1]",
            "-:",
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_in_a_certificate_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(
            run(&args(directory.path(), &["bücher.example"], false, false)),
            Exit::Failure
        );
    }
}
