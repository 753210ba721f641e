//! Real peers: nginx as the backend; curl, nghttp and httpx (HTTP/2) as clients.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::client::{get, request, send};
use crate::support::gateway::start;
use crate::support::keys::Signer;
use crate::support::upstream::Upstream;
use crate::tokens::python;

/// True if the program is there; in CI its absence is a failure.
pub fn have(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|out| out.status.success());
    assert!(
        found || std::env::var_os("CI").is_none(),
        "{program} is missing: run `make test`"
    );
    if !found {
        eprintln!("skipped: no {program} (run `make test` once)");
    }
    found
}

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// nginx on a port that was free a moment ago; another one is tried if somebody took it in between.
fn nginx(folder: &Path) -> (Nginx, SocketAddr) {
    for _ in 0..10 {
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let text = format!(
            "daemon off; master_process off; pid {d}/nginx.pid; error_log stderr crit;\nevents {{}}\nhttp {{ access_log off; client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;\nserver {{ listen {address}; root {d};\n location /big {{ }}\n location /gz {{ gzip on; gzip_types *; gzip_min_length 1; alias {d}/big; }}\n location /echo {{ default_type text/plain; add_header X-Tenant-Seen $http_x_tenant_id always; return 200 'host=$host tenant=$http_x_tenant_id uri=$request_uri'; }}\n location /nothing {{ return 204; }}\n location /moved {{ return 302 /elsewhere; }}\n }} }}\n",
            d = folder.display()
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        std::fs::write(folder.join("big"), vec![b'a'; 1 << 20]).unwrap();
        let mut child = Command::new("nginx")
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx");
        loop {
            if std::net::TcpStream::connect(address).is_ok() {
                return (Nginx(child), address);
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::yield_now();
        }
    }
    panic!("nginx found no port");
}

fn config(signer: &Signer, backend: &str, tls: Option<&Path>) -> String {
    let tls = tls.map_or(String::new(), |folder| {
        format!(
            "\n    tls: {{ certificate: {d}/chain.pem, key: {d}/key.pem }}",
            d = folder.display()
        )
    });
    format!(
        r#"
server: {{ workers: 1 }}
listeners:
  - address: 127.0.0.1:0{tls}
admin: {{ address: 127.0.0.1:0 }}
issuers:
  idp:
    issuer: https://idp.example/
    audience: [api]
    algorithms: [ES256]
    keys: {{ file: {keys} }}
    claims: {{ customer: customer_id }}
backends:
  one: {{ endpoints: ["{backend}"] }}
apis:
  api:
    hosts: [localhost]
    credentials: [{{ bearer: idp }}]
    access: {{}}
    headers: {{ tenant: X-Tenant-ID }}
    routes:
      - path: /{{*rest}}
        to: {{ backend: one }}
"#,
        keys = signer.public_file.display(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_behind_the_gateway_answers_as_it_does_alone() {
    if !have("nginx") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::new(folder.path());
    let (_nginx, backend) = nginx(folder.path());
    let (_gateway, address, _) = start(&config(&signer, &format!("http://{backend}"), None)).await;
    let token = format!(
        "Bearer {}",
        signer.sign(serde_json::json!({"customer_id": "cust-1", "sub": "u"}))
    );
    let fields = [("authorization", token.as_str()), ("x-tenant-id", "spoofed")];
    let got = send(address, get("localhost", "/echo?a=b", &fields)).await;
    assert_eq!(got.text(), "host=localhost tenant=cust-1 uri=/echo?a=b");
    let got = send(address, get("localhost", "/big", &fields)).await;
    assert_eq!((got.status.as_u16(), got.body.len()), (200, 1 << 20));
    let got = send(address, request("HEAD", "localhost", "/big", &fields, "")).await;
    assert_eq!(
        (got.status.as_u16(), got.header("content-length"), got.body.len()),
        (200, Some("1048576"), 0)
    );
    let got = send(
        address,
        get("localhost", "/big", &[fields[0], ("range", "bytes=1-5")]),
    )
    .await;
    assert_eq!((got.status.as_u16(), got.text().as_str()), (206, "aaaaa"));
    let got = send(
        address,
        get("localhost", "/gz", &[fields[0], ("accept-encoding", "gzip")]),
    )
    .await;
    assert_eq!(
        (got.status.as_u16(), got.header("content-encoding")),
        (200, Some("gzip"))
    );
    assert_eq!(
        send(address, get("localhost", "/nothing", &fields)).await.status,
        204
    );
    let got = send(address, get("localhost", "/moved", &fields)).await;
    assert_eq!(
        got.status, 302,
        "a redirect of the backend is passed on, not followed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_nghttp_and_httpx_get_their_answers_over_tls() {
    let Some(python) = python() else { return };
    if !have("curl") || !have("nghttp") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args([
            "dev-cert",
            "--ca",
            "--name",
            "localhost",
            "--name",
            "127.0.0.1",
            "--out",
        ])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let signer = Signer::new(folder.path());
    let us = Upstream::start("us").await;
    let (_gateway, address, _) = start(&config(&signer, &us.url(), Some(folder.path()))).await;
    let token = signer.sign(serde_json::json!({"customer_id": "cust-1", "sub": "u"}));
    let url = format!("https://localhost:{}/a", address.port());
    let ca = folder.path().join("ca.pem");
    let bearer = format!("Authorization: Bearer {token}");

    for version in ["--http1.1", "--http2"] {
        let out = Command::new("curl")
            .args([
                "-sS",
                version,
                "--noproxy",
                "*",
                "--resolve",
                &format!("localhost:{}:127.0.0.1", address.port()),
                "--cacert",
            ])
            .arg(&ca)
            .args(["-H", &bearer, "-w", "%{http_code} %{http_version}", &url])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(
            text.contains("\"served_by\":\"us\"") && text.contains("200 "),
            "{version}: {text} {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
    let out = Command::new("nghttp")
        .args([
            "-v",
            "--no-verify",
            "-H",
            &format!("authorization: Bearer {token}"),
            "-H",
            ":authority: localhost",
        ])
        .arg(format!("https://127.0.0.1:{}/a", address.port()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(text.contains(":status: 200"), "{text}");

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/http2_client.py");
    let out = Command::new(python)
        .arg(script)
        .args([url.as_str(), ca.to_str().unwrap(), &token])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let answers: Vec<serde_json::Value> = String::from_utf8_lossy(&out.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [401, 200, 200]);
    assert!(answers.iter().all(|answer| answer["version"] == "HTTP/2"));
    assert!(us.seen().iter().all(|seen| seen.only("x-tenant-id") == "cust-1"));
}
