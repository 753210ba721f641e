//! One process that is four front doors at once, each on hosts of its own, and the clients of all of them at the same time.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::base::clock::Clock;

use crate::foreign_peers::have;
use crate::support::client::{request, send};
use crate::support::driver::Driver;
use crate::support::example::Example;
use crate::support::world::PASSWORD;
use crate::{controller, front_doors, portal};

const VCENTER: &str = "localhost";

async fn start(foreign: &portal::Foreign) -> Example {
    let hosts = [controller::HOST, front_doors::DOOR, portal::HOST, VCENTER];
    let mut variables = vec![
        ("CONTROLLER_HOST", controller::HOST.to_owned()),
        ("PORTAL_HOST", portal::HOST.to_owned()),
        ("VCENTER_HOST", VCENTER.to_owned()),
        ("CENTRAL_ADDRESS", format!("https://{}", front_doors::DOOR)),
        ("CONTROLLER_ADDRESS", format!("https://{}", controller::HOST)),
        ("PORTAL_ADDRESS", format!("https://{}", portal::HOST)),
        ("VCENTER_ADDRESS", format!("https://{VCENTER}")),
    ];
    variables.extend(foreign.variables.clone());
    let backend = controller::backend().await;
    Example::known_as("four-front-doors", &hosts, Clock::system(), backend, &variables).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_is_four_front_doors_and_the_clients_of_each_work_at_the_same_time() {
    if !have("chromium") {
        return;
    }
    let Some(foreign) = portal::Foreign::start().await else {
        return;
    };
    let example = start(&foreign).await;
    let (client, secret) = front_doors::central_users(&example).await;
    controller::users(&example).await;
    portal::users(&example).await;
    front_doors::vcenter_users(&example).await;
    let folder = tempfile::tempdir().unwrap();

    let scripted = async {
        let sdk = front_doors::central_sdk(&example, (&client, &secret), folder.path(), "limited");
        let (sdk, first) = sdk.expect("it started the provider").next().await;
        let (_sdk, codes) = sdk.next().await;
        (first["call"]["code"].clone(), codes)
    };
    let objects = async {
        let sdk = controller::sdk(&example, "crud", &[]).expect("it started the provider");
        let (sdk, version) = sdk.next().await;
        let (_sdk, did) = sdk.next().await;
        (version, did)
    };
    let sample = async {
        let (url, certificate) = (example.url_of(VCENTER), example.certificate());
        let arguments = [&url, "Admin", "CORP", PASSWORD, certificate.to_str().unwrap()];
        let sample = Driver::start("vcenter_sample.py", &arguments).expect("it started the provider");
        sample.next().await.1
    };
    let browser = portal::browse(&example, &foreign.provider);
    let (scripted, objects, sample, browser) = tokio::join!(scripted, objects, sample, browser);

    assert_eq!(scripted, (json!(200), json!(vec![200; 10])), "recovers from 429");
    assert_eq!(objects.0, json!({"version": {"Version": "30.2.1"}}));
    assert_eq!(
        (&objects.1["made"], &objects.1["gone"]),
        (&json!(201), &json!(204))
    );
    assert_eq!(
        (&sample["login"], &sample["call"], &sample["after"]),
        (&json!(200), &json!(200), &json!(401)),
        "{sample}"
    );
    assert_eq!(browser["arrived"][0], "/portal/cases/7?open=1&all", "{browser:#}");
    assert_eq!(browser["asset"][0], 200, "{browser:#}");
    assert_eq!(browser["signed_out"], 200, "{browser:#}");
    let spoken: BTreeSet<String> = example
        .backend
        .seen()
        .iter()
        .filter_map(|seen| Some(seen.target.get(1..)?.split('/').next()?.to_owned()))
        .collect();
    for family in ["api", "portal", "Spectre"] {
        assert!(spoken.contains(family), "{spoken:?}");
    }
    doors_are_apart(&example).await;
}

/// What is good at one door is worth nothing at another, and each refuses in its own words.
async fn doors_are_apart(example: &Example) {
    let call = async |host: &str, method: &str, target: &str, fields: &[(&str, &str)], body: &str| {
        send(example.plain, request(method, host, target, fields, body)).await
    };
    let json = [("content-type", "application/json")];
    let login = json!({"apiUserCredential": {"username": "admin", "domain": "corp", "password": PASSWORD}});
    let services = "/Spectre/api/rest/v1/Services";
    let path = format!("{services}/AuthenticationService/login");
    let got = call(VCENTER, "POST", &path, &json, &login.to_string()).await;
    let token = got.json()["accessToken"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let fields = [("authorization", bearer.as_str())];
    let own = format!("{services}/PluginProfileService/Profiles");
    assert_eq!(call(VCENTER, "GET", &own, &fields, "").await.status, 200);
    let door = front_doors::DOOR;
    let elsewhere = [
        (door, "/monitoring/v1/aps"),
        (controller::HOST, "/api/pool"),
        (portal::HOST, "/services/x"),
    ];
    let mut looks: Vec<Value> = Vec::new();
    for (host, target) in elsewhere {
        let got = call(host, "GET", target, &fields, "").await;
        assert_eq!(got.status, 401, "{host}: {}", got.text());
        looks.push(serde_json::from_slice(&got.body).unwrap_or(Value::Null));
    }
    assert!(
        looks
            .iter()
            .collect::<Vec<_>>()
            .windows(2)
            .all(|two| two[0] != two[1]),
        "{looks:?}"
    );
    // Nobody's path at a door of its neighbour, and no door at all.
    for (host, target) in [
        (VCENTER, "/api/pool"),
        (portal::HOST, own.as_str()),
        ("other.test", "/api/pool"),
    ] {
        assert_eq!(
            call(host, "GET", target, &fields, "").await.status,
            404,
            "{host}{target}"
        );
    }
}
