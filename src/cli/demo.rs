//! `tollgate demo`: the gateway before two regional backends, with tokens and calls to try.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::backend::{self, Spoken};
use super::command::Exit;
use super::inventory;
use super::run::{load, log, not_started, runtime};
use super::terminal::{complain, say};
use crate::base::clock::{Clock, UnixTime};
use crate::base::random;
use crate::config::plan::Algorithm;
use crate::gateway::{Gateway, Options};
use crate::jose::sign::{SignError, SigningKey};

/// Run the gateway before two demo backends, and print calls to try
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  tollgate demo --listen 127.0.0.1:8088

Starts an inventory API in two regions and the gateway before them, prints a token for each of two
customers and five curl lines. Nothing is kept: keys are made for this run. Ctrl-C ends it.")]
pub(super) struct Args {
    /// Where the gateway listens; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the admin listener listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
}

/// A customer of the demo.
struct Customer {
    /// The shell variable that holds its token.
    variable: &'static str,
    /// Who pays.
    customer: &'static str,
    /// Whose data.
    tenant: &'static str,
    /// Its home.
    region: &'static str,
}

const CUSTOMERS: [Customer; 2] = [
    Customer {
        variable: "US",
        customer: "acme",
        tenant: "acme-tenant-1",
        region: "us-1",
    },
    Customer {
        variable: "EU",
        customer: "globex",
        tenant: "globex-tenant-1",
        region: "eu-1",
    },
];

const CONFIGURATION: &str = include_str!("demo.yaml");

/// Tokens end after so many seconds: a working day.
const TOKEN_LIFE: i64 = 12 * 3_600;

pub(super) fn run(args: &Args) -> Exit {
    let demo = match Demo::prepare(args) {
        Ok(demo) => demo,
        Err(why) => {
            complain(&format_args!("tollgate demo: {why}"));
            return Exit::Failure;
        }
    };
    serve(&demo).unwrap_or_else(|exit| exit)
}

fn serve(demo: &Demo) -> Result<Exit, Exit> {
    let plan = load(&demo.configuration)?;
    let _logging = log(&plan)?;
    runtime()?.block_on(async {
        let started = Gateway::start(plan, Options::default()).await;
        let gateway = started.map_err(|error| not_started(&error))?;
        // Before the first word, so that whoever has read it can end the demo without leaving its folder behind.
        let mut ends = Ends::new().map_err(|error| {
            complain(&format_args!("tollgate demo: no signals: {error}"));
            Exit::Failure
        })?;
        say(&lesson(demo.gateway, demo.admin, &demo.tokens, &demo.folder.0));
        ends.next().await;
        // A second one ends at once.
        tokio::select! {
            _ = gateway.drain() => {}
            () = ends.next() => gateway.stop(),
        }
        Ok(Exit::Success)
    })
}

/// What ends the demo: Ctrl-C, `kill`, and a terminal that is closed.
struct Ends([Signal; 3]);

impl Ends {
    fn new() -> io::Result<Ends> {
        Ok(Ends([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Everything that the gateway needs, before it starts.
struct Demo {
    gateway: SocketAddr,
    admin: SocketAddr,
    tokens: [String; 2],
    configuration: PathBuf,
    folder: Folder,
}

impl Demo {
    fn prepare(args: &Args) -> Result<Demo, String> {
        // The gateway opens these itself; here it is only found out whether it can, to name the flag.
        let gateway = free(args.listen, "--listen")?;
        let admin = free(args.admin, "--admin")?;
        let us = start_backend("us-1")?;
        let eu = start_backend("eu-1")?;
        let folder = Folder::make().map_err(|error| format!("no temporary folder: {error}"))?;
        let written = |error: io::Error| format!("{}: {error}", folder.0.display());
        let (key, tokens) = tokens(Clock::system().unix()).map_err(|error| format!("no tokens: {error}"))?;
        let pem = key.to_pem().map_err(|error| error.to_string())?;
        let jwk = key.public_jwk().map_err(|error| error.to_string())?;
        folder.write("private-key.pem", &pem).map_err(written)?;
        let public = folder
            .write("public-key.json", &jwk.to_string())
            .map_err(written)?;
        let text = configuration(gateway, admin, &public, us, eu);
        let configuration = folder.write("tollgate.yaml", &text).map_err(written)?;
        Ok(Demo {
            gateway,
            admin,
            tokens,
            configuration,
            folder,
        })
    }
}

/// The address, if it can be listened on; port 0 becomes one that is free.
fn free(address: SocketAddr, flag: &str) -> Result<SocketAddr, String> {
    let listener = backend::listen(address, flag)?;
    listener.local_addr().map_err(|error| error.to_string())
}

/// Starts the inventory API of a region on a port that the system chooses. It lives as long as the process.
fn start_backend(region: &'static str) -> Result<SocketAddr, String> {
    let failed = |error: io::Error| format!("the backend of {region} cannot start: {error}");
    let listener: TcpListener = backend::listen(([127, 0, 0, 1], 0).into(), "a demo backend")?;
    let address = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let serve = move || {
        let ended = runtime.block_on(backend::serve(listener, Spoken::Http1, move |request| {
            inventory::answer(region, request)
        }));
        if let Err(error) = ended {
            complain(&format_args!("the backend of {region} ended: {error}"));
        }
    };
    std::thread::Builder::new()
        .name(format!("backend-{region}"))
        .spawn(serve)
        .map_err(failed)?;
    Ok(address)
}

/// A key for this run, and a token for each customer.
fn tokens(now: UnixTime) -> Result<(SigningKey, [String; 2]), SignError> {
    let key = SigningKey::generate(Algorithm::ES256)?.named("demo");
    let token = |customer: &Customer| {
        let claims: Map<String, Value> = [
            ("iss", json!("https://login.inventory.localhost/")),
            ("aud", json!("inventory")),
            ("sub", json!(format!("user@{}", customer.customer))),
            ("iat", json!(now.0)),
            ("exp", json!(now.0 + TOKEN_LIFE)),
            ("customer_id", json!(customer.customer)),
            ("tenant_id", json!(customer.tenant)),
            ("region", json!(customer.region)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        key.sign(Algorithm::ES256, &claims)
    };
    let [us, eu] = &CUSTOMERS;
    let tokens = [token(us)?, token(eu)?];
    Ok((key, tokens))
}

/// The configuration with its places filled in.
fn configuration(
    gateway: SocketAddr,
    admin: SocketAddr,
    key: &Path,
    us: SocketAddr,
    eu: SocketAddr,
) -> String {
    CONFIGURATION
        .replace("GATEWAY_ADDRESS", &gateway.to_string())
        .replace("ADMIN_ADDRESS", &admin.to_string())
        .replace("KEY_FILE", &key.display().to_string())
        .replace("US_BACKEND", &format!("http://{us}"))
        .replace("EU_BACKEND", &format!("http://{eu}"))
}

/// A folder for this run that only its owner can read. It is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Folder> {
        let number = u128::from_ne_bytes(random::bytes16());
        let path = std::env::temp_dir().join(format!("tollgate-demo-{number:032x}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in a folder for temporary things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the terminal shows once the gateway answers.
fn lesson(gateway: SocketAddr, admin: SocketAddr, tokens: &[String; 2], folder: &Path) -> String {
    let items = format!("http://{gateway}/inventory/items");
    let mut text = format!(
        "The gateway listens on http://{gateway}, its admin listener on http://{admin}.\n\n\
         A token for each of two customers. Paste these two lines into another terminal:\n\n"
    );
    for (customer, token) in CUSTOMERS.iter().zip(tokens) {
        text.push_str(&format!("{}='{token}'\n", customer.variable));
    }
    for (line, (title, call)) in [
        (
            "The backend is told who calls; what the client claims about itself is removed:",
            format!("curl -s '{items}?limit=1' -H \"Authorization: Bearer $US\" -H 'X-Tenant-ID: forged'"),
        ),
        ("Without a token: 401.", format!("curl -si '{items}'")),
        (
            "The region of the token's customer answers (x-served-by: eu-1):",
            format!("curl -si '{items}/7' -H \"Authorization: Bearer $EU\""),
        ),
        (
            "Ten calls at once: seven are let through, three get 429.",
            format!(
                "curl -s --no-progress-meter --parallel --parallel-immediate --parallel-max 10 -o /dev/null -w '%{{http_code}}\\n' \
                 -H \"Authorization: Bearer $EU\" '{items}/[1-10]'"
            ),
        ),
        (
            "51 items in one call, where 50 are allowed: 400.",
            format!(
                "curl -si -X PUT '{items}' -H \"Authorization: Bearer $US\" -H 'Content-Type: application/json' \
                 -d \"{{\\\"items\\\":[$(seq -s, 51)]}}\""
            ),
        ),
    ]
    .iter()
    .enumerate()
    {
        text.push_str(&format!("\n{}. {title}\n\n{call}\n", line + 1));
    }
    text.push_str(&format!(
        "\nThe configuration and the key are in {}. Ctrl-C ends the demo.",
        folder.display()
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_has_no_place_left_to_fill_in() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = configuration(address(1), address(2), Path::new("/k"), address(3), address(4));
        for place in [
            "GATEWAY_ADDRESS",
            "ADMIN_ADDRESS",
            "KEY_FILE",
            "US_BACKEND",
            "EU_BACKEND",
        ] {
            assert!(CONFIGURATION.contains(place) && !text.contains(place), "{place}");
        }
    }

    #[test]
    fn the_lesson_has_two_tokens_and_five_calls() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let tokens = ["aaa".to_owned(), "bbb".to_owned()];
        let text = lesson(address, address, &tokens, Path::new("/t"));
        assert!(text.contains("US='aaa'\nEU='bbb'\n"));
        let calls: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
        assert_eq!(calls.len(), 5);
        assert!(
            calls
                .iter()
                .all(|call| call.contains("http://127.0.0.1:8080/inventory/items"))
        );
        assert_eq!(
            calls.iter().filter(|call| call.contains("--parallel ")).count(),
            1
        );
    }

    #[test]
    fn a_port_that_is_taken_is_named_with_its_flag() {
        let taken = backend::listen(([127, 0, 0, 1], 0).into(), "").unwrap();
        let address = taken.local_addr().unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let why = Demo::prepare(&Args {
            listen: address,
            admin: any,
        })
        .err()
        .unwrap();
        assert!(
            why.contains(&address.to_string()) && why.contains("--listen"),
            "{why}"
        );
        let why = Demo::prepare(&Args {
            listen: any,
            admin: address,
        })
        .err()
        .unwrap();
        assert!(
            why.contains(&address.to_string()) && why.contains("--admin"),
            "{why}"
        );
    }

    #[test]
    fn the_folder_is_gone_after_the_demo_and_closed_to_others_during_it() {
        use std::os::unix::fs::PermissionsExt;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let demo = Demo::prepare(&Args {
            listen: any,
            admin: any,
        })
        .unwrap();
        let folder = demo.folder.0.clone();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("private-key.pem")), 0o600);
        drop(demo);
        assert!(!folder.exists());
    }
}
