//! What must hold for any bytes, one function for each place where bytes from outside are read.
//!
//! The same functions are driven by libFuzzer (`fuzz_targets/`, with coverage) and by proptest (`tests/fuzz.rs`, with
//! every `make test`), so a target never rots where there is no fuzzer. A function panics when a promise is broken.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version};
use tollgate::accounts::name::BadName;
use tollgate::accounts::{StoredPassword, UserName};
use tollgate::base::clock::UnixTime;
use tollgate::base::secret::Secret;
use tollgate::config;
use tollgate::config::diagnostic::Severity;
use tollgate::config::plan::Algorithm;
use tollgate::http::cookie::{Attributes, CookieTemplate, cookies};
use tollgate::http::form::{self, Bounds, Parameters};
use tollgate::http::origin::{Scheme, Source, source};
use tollgate::http::{authorization, forwarded, guard::Guard, host, path, query};
use tollgate::jose::verify::{Policy, verify};
use tollgate::jose::{Key, KeySet};
use tollgate::limits::json::{Counter, Fault};
use tollgate::oauth::redirect_uri::{self, PrivateUseSchemes};
use tollgate::upstream::{BadAnswer, Dissected, dissect};

/// A path in normal form means the same to everybody: again normalised it is itself, and hides nothing.
pub(crate) fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(normal) = path::normalise(text) else { return };
    assert!(normal.starts_with('/'), "{text:?} became {normal:?}");
    assert_eq!(
        path::normalise(&normal).as_deref(),
        Ok(&*normal),
        "not stable: {text:?}"
    );
    let lower = normal.to_ascii_lowercase();
    for hidden in ["//", "\\", "%2f", "%5c", "%00", "%2e"] {
        assert!(!lower.contains(hidden), "{text:?} became {normal:?}");
    }
    for segment in normal.split('/') {
        let before_parameters = segment.split(';').next().unwrap_or(segment);
        assert!(
            !matches!(before_parameters, "." | ".."),
            "{text:?} became {normal:?}"
        );
    }
}

/// A head that passes the guard has one host, a normal path and the query that came.
///
/// The bytes: a line with version digit, method and target; then field lines `Name: value`.
pub(crate) fn head(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some(request) = request(&mut lines) else {
        return;
    };
    for tls in [false, true] {
        let Ok(head) = Guard::new(100, 64 << 10, 8 << 10, false).check(&request, tls) else {
            continue;
        };
        let host = head.host();
        assert_eq!(host, host.to_ascii_lowercase());
        assert!(
            !host.contains(['@', '/', '?', '#', '[', ']', ' ', '\\']),
            "{host:?}"
        );
        let hosts = request.headers().get_all(http::header::HOST).iter().count();
        assert!(hosts <= 1, "{hosts} Host fields passed");
        assert!(
            head.path() == "*" || path::normalise(head.path()).as_deref() == Ok(head.path()),
            "{:?}",
            head.path()
        );
        assert_eq!(head.query(), request.uri().query(), "the query was touched");
        let lengths = request
            .headers()
            .get_all(http::header::CONTENT_LENGTH)
            .iter()
            .count();
        assert!(
            lengths == 0 || !request.headers().contains_key(http::header::TRANSFER_ENCODING),
            "two kinds of framing passed"
        );
    }
}

fn request<'d>(lines: &mut impl Iterator<Item = &'d [u8]>) -> Option<Request<()>> {
    let mut words = lines.next()?.splitn(3, |byte| *byte == b' ');
    let version = match words.next()? {
        b"0" => Version::HTTP_10,
        b"2" => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    let method = http::Method::from_bytes(words.next()?).ok()?;
    let target = http::Uri::try_from(words.next()?).ok()?;
    let mut request = Request::new(());
    *request.version_mut() = version;
    *request.method_mut() = method;
    *request.uri_mut() = target;
    *request.headers_mut() = fields(lines);
    Some(request)
}

fn fields<'d>(lines: &mut impl Iterator<Item = &'d [u8]>) -> HeaderMap {
    lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(colon);
            Some((
                HeaderName::from_bytes(name).ok()?,
                HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?,
            ))
        })
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

/// A peer that is not trusted is the client, whatever it says; and a trusted one cannot make a trusted proxy the
/// client unless nobody else is named.
pub(crate) fn forwarded(data: &[u8]) {
    let headers = fields(&mut data.split(|byte| *byte == b'\n'));
    let stranger = std::net::IpAddr::from([203, 0, 113, 9]);
    let proxy = std::net::IpAddr::from([10, 0, 0, 1]);
    let trusted: Vec<ipnet::IpNet> = ["10.0.0.0/8", "fd00::/8"]
        .iter()
        .filter_map(|net| net.parse().ok())
        .collect();
    assert_eq!(forwarded::client_address(stranger, &trusted, &headers), stranger);
    assert_eq!(forwarded::client_address(proxy, &[], &headers), proxy);
    let _ = forwarded::client_address(proxy, &trusted, &headers);
}

/// What is taken for a bearer token is the only credential, and has the grammar of one; a user name and password are the
/// only way to read what came.
pub(crate) fn authorization(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(http::header::AUTHORIZATION, value);
        }
    }
    let lines = headers.len();
    match authorization::bearer(&headers) {
        Ok(Some(token)) => {
            assert_eq!(lines, 1);
            assert!(!token.is_empty());
            assert!(
                token
                    .iter()
                    .all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'"' | b';')),
                "{token:?}"
            );
        }
        Ok(None) => assert_eq!(lines, 0),
        Err(_) => assert!(lines > 0),
    }
    match authorization::basic(&headers) {
        Ok(Some(basic)) => {
            assert_eq!(lines, 1);
            assert!(!basic.user().contains(':'));
            let joined = [basic.user().as_bytes(), b":", basic.password().reveal()].concat();
            assert!(!joined.iter().any(u8::is_ascii_control), "{joined:?}");
            let written = STANDARD.encode(&joined);
            let came = headers.values().next().map(HeaderValue::as_bytes);
            assert!(
                came.is_some_and(|came| came.ends_with(written.as_bytes())),
                "{written}"
            );
            if let Some(second) = basic.form_decoded() {
                let control = |text: &[u8]| text.iter().any(u8::is_ascii_control);
                assert!(!control(second.user().as_bytes()) && !control(second.password().reveal()));
            }
        }
        Ok(None) => assert_eq!(lines, 0),
        Err(_) => assert!(lines > 0),
    }
}

/// A cookie has a name, and neither name nor value has what ends them; a cookie that we set comes back as it was.
pub(crate) fn cookie(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(http::header::COOKIE, value);
        }
    }
    for (name, value) in cookies(&headers) {
        assert!(!name.is_empty() && !name.contains(&b'=') && !name.contains(&b';'));
        assert!(!value.contains(&b';'));
        assert!(name.trim_ascii() == name && value.trim_ascii() == value);
    }
    let mut lines = data.splitn(2, |byte| *byte == b'\n').map(std::str::from_utf8);
    let (Some(Ok(name)), Some(Ok(value))) = (lines.next(), lines.next()) else {
        return;
    };
    let Ok(template) = CookieTemplate::new(name, &Attributes::session()) else {
        return;
    };
    let Ok(field) = template.set(value) else { return };
    let text = field.to_str().unwrap_or_default();
    let (sent, attributes) = text.split_once(';').unwrap_or_default();
    assert_eq!(attributes, " Path=/; HttpOnly; Secure; SameSite=Lax", "{text}");
    let Ok(sent) = HeaderValue::from_str(sent) else {
        panic!("{sent:?} is no field")
    };
    let back = HeaderMap::from_iter([(http::header::COOKIE, sent)]);
    let came: Vec<_> = cookies(&back).collect();
    assert_eq!(came, [(name.as_bytes(), value.as_bytes())]);
}

/// A form is what it is when it is written anew, its bounds hold, and a repeated name is found by all who look for it.
pub(crate) fn form(data: &[u8]) {
    let bounds = Bounds {
        parameters: 16,
        bytes: 1 << 10,
    };
    let Ok(parameters) = Parameters::read(data, bounds) else {
        return;
    };
    assert!(data.len() <= bounds.bytes && parameters.len() <= bounds.parameters);
    let written: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", form::encoded(name), form::encoded(value)))
        .collect();
    let written = written.join("&");
    let usual = Bounds {
        bytes: usize::MAX,
        ..bounds
    };
    let Ok(again) = Parameters::read(written.as_bytes(), usual) else {
        panic!("{written:?} is no form")
    };
    assert!(parameters.iter().eq(again.iter()), "{written}");
    let doubled = parameters
        .iter()
        .any(|(name, _)| parameters.single(name).is_err());
    assert_eq!(doubled, parameters.repeated().is_some());
    for (name, _) in parameters.iter() {
        assert_eq!(parameters.single(name).is_err(), parameters.all(name).count() > 1);
    }
}

/// A request that is said to come from this host says so in a form that another reader of URLs reads alike.
///
/// The bytes: the request's authority, an `Origin` and a `Referer`, one a line; an empty one is not there.
pub(crate) fn origin(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let Some(authority) = lines.next().and_then(|line| std::str::from_utf8(line).ok()) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for (name, line) in [http::header::ORIGIN, http::header::REFERER]
        .into_iter()
        .zip(lines)
    {
        if let (false, Ok(value)) = (line.is_empty(), HeaderValue::from_bytes(line)) {
            headers.append(name, value);
        }
    }
    let said = source(&headers, Scheme::Https, authority);
    if !host::is_authority(authority) {
        assert_eq!(said, Source::Foreign);
    } else if headers.is_empty() {
        assert_eq!(said, Source::Unsaid);
    } else {
        assert_ne!(said, Source::Unsaid);
    }
    if said != Source::Same {
        return;
    }
    assert!(host::is_authority(authority));
    let own = format!("https://{authority}/").parse::<http::Uri>();
    for value in headers.values() {
        let uri = value.to_str().map(str::parse::<http::Uri>);
        let (Ok(own), Ok(Ok(uri))) = (&own, uri) else {
            continue;
        };
        let host = |uri: &http::Uri| uri.host().and_then(host::canonical);
        assert_eq!(host(own), host(&uri), "{authority} {uri}");
        assert_eq!(uri.scheme_str(), Some("https"));
        assert_eq!(own.port_u16().unwrap_or(443), uri.port_u16().unwrap_or(443));
    }
}

/// A hash that is taken is written as it came, and costs what is bearable.
pub(crate) fn password_hash(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(stored) = StoredPassword::parse(text) {
        assert_eq!(stored.to_phc(), text);
        assert!(!format!("{stored:?}").contains(text.rsplit('$').next().unwrap_or(text)));
        let cost = stored.cost().to_string();
        let numbers: Vec<u32> = cost
            .split(',')
            .filter_map(|pair| pair.split_once('=')?.1.parse().ok())
            .collect();
        let [memory, passes, lanes] = numbers[..] else {
            panic!("{cost}")
        };
        assert!(memory <= 256 << 10 && memory >= 8 * lanes && passes <= 10 && lanes <= 16);
    }
}

/// A name in its normal form is one name however it is written, and an address among them is one that mail is sent to.
pub(crate) fn user_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let name = UserName::parse(text);
    for other in [text.to_uppercase(), text.to_lowercase(), format!(" {text}\u{a0}")] {
        // A text that is near the bound may pass it in another case, and only there; one character has no place of its own.
        let other = UserName::parse(&other);
        let excused = text.len() > 256 || name == Err(BadName::Stray);
        assert!(other == name || excused, "{text:?}: {name:?} {other:?}");
    }
    let Ok(name) = name else { return };
    let normal = name.as_str();
    assert_eq!(UserName::parse(normal).as_ref(), Ok(&name));
    assert!(!normal.is_empty() && normal.len() <= 254);
    assert!(!normal.chars().any(|c| c.is_control() || c.is_whitespace()));
    if name.check_email().is_ok() {
        assert!(normal.is_ascii(), "{normal}");
        let (local, domain) = normal.split_once('@').unwrap_or_default();
        assert!(!local.is_empty() && domain.contains('.') && !domain.contains('@'));
        assert!(host::is_authority(domain), "{domain}");
    }
}

/// A redirection URI that is registered leads to one place for every reader, and one that matches it leads there too.
///
/// The bytes: a URI to register and one that is presented, one a line.
pub(crate) fn redirect_uri(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n').map(std::str::from_utf8);
    let (Some(Ok(registered)), Some(Ok(presented))) = (lines.next(), lines.next()) else {
        return;
    };
    if redirect_uri::check(registered, PrivateUseSchemes::Refused).is_err() {
        return;
    }
    assert!(redirect_uri::matches(registered, registered));
    let Ok(uri) = registered.parse::<http::Uri>() else {
        panic!("{registered} is no URI")
    };
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    assert!(!host.is_empty() && !registered.contains(['#', '\\', ' ', '\r', '\n']));
    let is_loopback = matches!(host.as_str(), "127.0.0.1" | "[::1]" | "localhost");
    assert!(uri.scheme_str() == Some("https") || is_loopback, "{registered}");
    if redirect_uri::matches(registered, presented) && registered != presented {
        let Ok(other) = presented.parse::<http::Uri>() else {
            panic!("{presented} is no URI")
        };
        assert!(matches!(other.host(), Some("127.0.0.1" | "[::1]")), "{presented}");
        assert_eq!((other.scheme_str(), other.host()), (Some("http"), uri.host()));
        assert_eq!(other.path_and_query(), uri.path_and_query());
        assert_eq!(redirect_uri::check(presented, PrivateUseSchemes::Refused), Ok(()));
    }
    let answer = redirect_uri::with_parameters(registered, &[("code", presented)]);
    assert!(answer.starts_with(registered) && !answer.contains(['#', ' ', '\r', '\n']));
}

/// The query's readers agree with the plain reading where there is only one.
pub(crate) fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let found: Vec<_> = query::values(text, "limit").collect();
    if text.contains(['%', '+', ';']) {
        return;
    }
    let plain: Vec<&str> = text
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| *name == "limit")
        .map(|(_, value)| value)
        .collect();
    assert_eq!(found, plain, "{text:?}");
}

/// The counter gives the same verdict however the text is cut, and never counts fewer elements than serde_json finds.
///
/// The first byte says where the text is cut.
pub(crate) fn items_json(data: &[u8]) {
    let Some((cut, text)) = data.split_first() else {
        return;
    };
    for pointer in ["", "/devices", "/a/b"] {
        let segments: Vec<String> = pointer.split('/').skip(1).map(str::to_owned).collect();
        let whole = count(&segments, &[text]);
        let (left, right) = text.split_at(usize::from(*cut).min(text.len()));
        assert_eq!(whole, count(&segments, &[left, right]), "cut at {cut}");
        let Ok(found) = whole else { continue };
        // Accepted: then it is JSON for others too, and they see no more elements there than were counted.
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(text) {
            panic!("{:?} was accepted: {error}", String::from_utf8_lossy(text));
        }
        // A number beyond f64 is JSON, and serde_json has no value for it.
        let value = match serde_json::from_slice(text) {
            Ok(serde_json::Value::String(inner)) => serde_json::from_str(&inner).unwrap_or_default(),
            Ok(other) => other,
            Err(_) => continue,
        };
        if let Some(serde_json::Value::Array(array)) = value.pointer(pointer) {
            assert_eq!(
                found,
                array.len() as u64,
                "{:?} at {pointer:?}",
                String::from_utf8_lossy(text)
            );
        }
    }
}

fn count(pointer: &[String], pieces: &[&[u8]]) -> Result<u64, Fault> {
    let mut counter = Counter::new(pointer, u64::MAX);
    for piece in pieces {
        counter.feed(piece)?;
    }
    counter.finish()
}

/// The secret that the signed half of the tokens below is signed by.
const SECRET: &[u8] = b"thirty-two bytes of no secrecy..";
const NOW: UnixTime = UnixTime(1_800_000_000);

/// A token is accepted only with a good signature, and then says what the policy asks for.
///
/// The bytes are taken once as a whole token, and once as header and claims (two lines) that are signed with the key, so
/// that what lies behind the signature is reached too.
pub(crate) fn jws(data: &[u8]) {
    let Ok(key) = Key::secret(&Secret::new(SECRET.to_vec())) else {
        panic!("the secret is long enough")
    };
    let keys = KeySet::new(vec![std::sync::Arc::new(key)]);
    let policy = Policy {
        issuer: "https://login.test/".to_owned(),
        audience: vec!["api".to_owned()],
        algorithms: vec![Algorithm::HS256],
        types: Vec::new(),
        leeway: 30,
    };
    if let Ok(token) = std::str::from_utf8(data) {
        let verdict = verify(token, &keys, &policy, NOW);
        assert!(verdict.is_err() || is_signed(token), "not signed: {token:?}");
    }
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (Some(header), Some(claims)) = (lines.next(), lines.next()) else {
        return;
    };
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature(&signed)));
    let Ok(found) = verify(&token, &keys, &policy, NOW) else {
        return;
    };
    let header: serde_json::Value = serde_json::from_slice(header).unwrap_or_default();
    assert_eq!(header["alg"], "HS256", "{header}");
    assert!(header.get("crit").is_none(), "{header}");
    assert_eq!(found.members["iss"], "https://login.test/");
    assert!(!found.subject.is_empty());
    assert!(found.expires.0 + 30 > NOW.0);
    assert!(found.begins.is_none_or(|begins| begins.0 <= NOW.0 + 30));
    let audience = &found.members["aud"];
    assert!(
        audience == "api"
            || audience
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == "api")),
        "{audience}"
    );
    // One bit of what was signed, and it is no token any more.
    let mut forged = token.into_bytes();
    if let Some(byte) = forged.first_mut() {
        *byte ^= 1;
    }
    if let Ok(forged) = String::from_utf8(forged) {
        assert!(verify(&forged, &keys, &policy, NOW).is_err());
    }
}

fn signature(signed: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
}

fn is_signed(token: &str) -> bool {
    token.rsplit_once('.').is_some_and(|(signed, mac)| {
        URL_SAFE_NO_PAD
            .decode(mac)
            .is_ok_and(|mac| mac == signature(signed))
    })
}

/// Any text is either a plan or a list of findings, at least one of which is an error with a message.
pub(crate) fn config_yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let environment = |name: &str| (name == "SECRET").then(|| "do-not-show-me".to_owned());
    match config::load_text(text, "fuzz.yaml", &environment) {
        Ok(plan) => assert!(!plan.listeners.is_empty(), "{text}"),
        Err(findings) => {
            assert!(
                findings.iter().any(|finding| finding.severity == Severity::Error),
                "{text}"
            );
            for finding in findings {
                assert!(!finding.message.is_empty());
                assert!(!format!("{finding:?}").contains("do-not-show-me"), "{finding:?}");
            }
        }
    }
}

/// An answer is read the same however its bytes are cut, and what is behind it stays apart from it.
pub(crate) fn answer(data: &[u8]) {
    for method in [http::Method::GET, http::Method::HEAD] {
        let whole = dissect(data, data.len(), &method);
        for piece in [1, 2, 7, 64] {
            assert_eq!(
                seen(&dissect(data, piece, &method)),
                seen(&whole),
                "{method}, in pieces of {piece}"
            );
        }
        let Ok(Some(read)) = whole else { continue };
        let fields = read.answer.headers();
        assert!(!fields.contains_key("transfer-encoding") && !fields.contains_key("keep-alive"));
        let lengths = fields.get_all("content-length").iter().count();
        assert!(lengths <= 1, "{lengths} lengths");
        if !read.is_whole && !read.rest.is_empty() {
            // Trailers, the end of which has not come. They stand behind the line of the last chunk.
            let (before, _) = data.split_at(data.len() - read.rest.len());
            assert!(before.ends_with(b"\r\n"), "bytes were left out of the body");
            let empty_line = read.rest.windows(3).any(|three| three == b"\n\r\n");
            assert!(!empty_line, "trailers that have ended were not read");
        }
    }
}

type Seen = Result<
    Option<(
        http::StatusCode,
        HeaderMap,
        Vec<u8>,
        Option<HeaderMap>,
        bool,
        bool,
        Vec<u8>,
    )>,
    BadAnswer,
>;

fn seen(read: &Result<Option<Dissected>, BadAnswer>) -> Seen {
    match read {
        Err(bad) => Err(*bad),
        Ok(None) => Ok(None),
        Ok(Some(read)) => Ok(Some((
            read.answer.status(),
            read.answer.headers().clone(),
            read.answer.body().clone(),
            read.trailers.clone(),
            read.is_whole,
            read.is_kept,
            read.rest.to_vec(),
        ))),
    }
}
