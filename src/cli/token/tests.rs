use std::io::Write;

use clap::Parser;
use serde_json::Value;

use super::{Command, inspect, mint};
use crate::base::clock::{Clock, UnixTime};
use crate::config::plan::Algorithm;
use crate::jose::algorithm;
use crate::jose::compact;
use crate::jose::sign::SigningKey;

const NOW: UnixTime = UnixTime(1_800_000_000);

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

fn mint(words: &[&str]) -> Result<Vec<String>, String> {
    let line =
        Line::try_parse_from(["token", "mint"].iter().chain(words)).map_err(|error| error.to_string())?;
    let Command::Mint(args) = line.command else {
        panic!("not mint")
    };
    let mut tokens = Vec::new();
    mint::tokens(&args, NOW, |token| tokens.push(token)).map_err(|error| error.to_string())?;
    Ok(tokens)
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&compact::decode(compact::parts(token).unwrap().payload).unwrap()).unwrap()
}

#[test]
fn every_algorithm_can_be_minted_from_its_key_file() {
    for algorithm in algorithm::ALL {
        let key = SigningKey::generate(algorithm).unwrap();
        let name = algorithm::name(algorithm);
        let (option, file) = match key.to_pem() {
            Ok(pem) => ("--key", file(&pem)),
            Err(_) => ("--secret-file", file("0123456789abcdef0123456789abcdef\n")),
        };
        let path = file.path().to_str().unwrap();
        let words = [
            option,
            path,
            "--alg",
            name,
            "--kid",
            "k1",
            "--issuer",
            "i",
            "--audience",
            "a",
        ];
        let token = mint(&words).unwrap().remove(0);
        let header = compact::split(&token).unwrap().header;
        assert_eq!((header.algorithm, header.key.as_deref()), (algorithm, Some("k1")));
    }
}

#[test]
fn a_jwk_brings_its_name_and_its_usual_algorithm() {
    let jwk = file(
        r#"{"kty":"OKP","crv":"Ed25519","kid":"from the file","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    );
    let words = [
        "--key",
        jwk.path().to_str().unwrap(),
        "--issuer",
        "i",
        "--audience",
        "a",
    ];
    let header = compact::split(&mint(&words).unwrap()[0]).unwrap().header;
    assert_eq!(
        (header.algorithm, header.key.as_deref()),
        (Algorithm::EdDSA, Some("from the file"))
    );
}

#[test]
fn claims_are_json_where_they_can_be_and_numbered_where_they_say_so() {
    let secret = file("0123456789abcdef0123456789abcdef");
    let tokens = mint(&[
        "--secret-file",
        secret.path().to_str().unwrap(),
        "--issuer",
        "i",
        "--audience",
        "a",
        "--audience",
        "b",
        "--subject",
        "user-{number}",
        "--claim",
        "customer_id=c{number}",
        "--claim",
        "admin=true",
        "--claim",
        r#"id="7""#,
        "--claim",
        r#"realm={"roles":["r{number}"]}"#,
        "--claim",
        "equation=a=b",
        "--ttl",
        "2h",
        "--ago",
        "1h",
        "--count",
        "3",
    ])
    .unwrap();
    assert_eq!(tokens.len(), 3);
    let wanted = serde_json::json!({
        "iss": "i", "aud": ["a", "b"], "sub": "user-2", "iat": NOW.0 - 3600, "nbf": NOW.0 - 3600, "exp": NOW.0 + 3600,
        "customer_id": "c2", "admin": true, "id": "7", "realm": {"roles": ["r2"]}, "equation": "a=b",
    });
    assert_eq!(claims(&tokens[1]), wanted);
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    let secret = file("0123456789abcdef0123456789abcdef");
    let path = secret.path().to_str().unwrap();
    let with = |more: &[&str]| {
        mint(&[&["--secret-file", path, "--issuer", "i", "--audience", "a"], more].concat()).unwrap_err()
    };
    for (more, said) in [
        (&["--alg", "none"][..], "`none` is none of RS256"),
        (&["--alg", "RS256"][..], "RS256 needs another kind of key"),
        (&["--claim", "x"][..], "`x` is not NAME=VALUE"),
        (&["--claim", "=x"][..], "`=x` is not NAME=VALUE"),
        (&["--ttl", "60"][..], "write `60s`"),
        (&["--count", "0"][..], "0 is not in"),
        (&["--key", path][..], "cannot be used with"),
    ] {
        let error = with(more);
        assert!(error.contains(said), "{more:?}: {error}");
    }
    assert!(
        mint(&["--issuer", "i", "--audience", "a"])
            .unwrap_err()
            .contains("--key")
    );
    let missing = mint(&["--key", "/nonexistent", "--issuer", "i", "--audience", "a"]).unwrap_err();
    assert!(missing.contains("cannot read /nonexistent"), "{missing}");
    let short = file("hunter2");
    let words = [
        "--secret-file",
        short.path().to_str().unwrap(),
        "--issuer",
        "i",
        "--audience",
        "a",
    ];
    let error = mint(&words).unwrap_err();
    assert!(
        error.contains("32 bytes") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_token_is_described_with_its_times_in_words() {
    let secret = file("0123456789abcdef0123456789abcdef");
    let words = [
        "--secret-file",
        secret.path().to_str().unwrap(),
        "--issuer",
        "i",
        "--audience",
        "a",
        "--ttl",
        "90m",
    ];
    let token = mint(&words).unwrap().remove(0);
    let text = inspect::described(&token, UnixTime(NOW.0 + 60)).unwrap();
    for said in [
        "\"alg\": \"HS256\"",
        "\"iss\": \"i\"",
        "issued  2027-01-15T08:00:00Z, 1 min ago",
        "ends    2027-01-15T09:30:00Z, in 1 h 29 min",
    ] {
        assert!(text.contains(said), "{said}:\n{text}");
    }
    assert!(inspect::described("a.b", NOW).is_err());
    assert!(inspect::described("a.b.c", NOW).is_err());
}

/// A gateway of one issuer with a shared secret, and a token of that issuer with more options.
fn asked(more: &[&str], issuer: &str) -> Result<(String, String), String> {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let configuration = folder.path().join("tollgate.yaml");
    std::fs::write(
        &configuration,
        CONFIGURATION.replace("ISSUER", "https://idp.example/"),
    )
    .unwrap();
    let plan = crate::config::load(&configuration, &|_| None).unwrap();
    let options = [
        "--secret-file",
        secret.to_str().unwrap(),
        "--issuer",
        issuer,
        "--audience",
        "central",
    ];
    let token = mint(&[&options[..], more].concat()).unwrap().remove(0);
    let clock = Clock::manual(NOW);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (issuer, identity) = runtime.block_on(inspect::judged(&token, &plan, &clock))?;
    Ok((
        issuer,
        identity
            .customer
            .map(|customer| customer.to_string())
            .unwrap_or_default(),
    ))
}

const CONFIGURATION: &str = "
listeners:
  - address: 127.0.0.1:0
issuers:
  idp:
    issuer: ISSUER
    audience: [central]
    algorithms: [HS256]
    keys: { secret: { file: secret } }
    claims: { customer: customer_id }
backends:
  one: { endpoints: [http://127.0.0.1:9] }
apis:
  one:
    hosts: ['*']
    credentials: [bearer: idp]
    routes:
      - { path: '/{*rest}', access: {}, to: { backend: one } }
";

#[test]
fn a_token_is_judged_as_the_gateway_would() {
    let us = "https://idp.example/";
    let accepted = asked(&["--claim", "customer_id=acme"], us).unwrap();
    assert_eq!(accepted, ("idp".to_owned(), "acme".to_owned()));
    for (more, issuer, said) in [
        (&["--ago", "2h"][..], us, "idp: the token has expired"),
        (
            &["--claim", "aud=elsewhere"][..],
            us,
            "idp: the token is for another audience",
        ),
        (
            &["--claim", "exp=\"soon\""][..],
            us,
            "idp: the exp claim is missing or has the wrong type",
        ),
        (
            &["--claim", "customer_id=7"][..],
            us,
            "idp: the customer claim has the wrong form",
        ),
        (
            &[][..],
            "https://other.example/",
            "no issuer of the configuration has the `iss` claim",
        ),
    ] {
        let refused = asked(more, issuer).unwrap_err();
        assert!(refused.contains(said), "{more:?}: {refused}");
    }
}
