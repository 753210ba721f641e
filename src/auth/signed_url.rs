//! Signed URLs: a link that lets whoever has it make one call, for a while, in the name of whoever made it.
//!
//! The signature is HMAC-SHA-256 (RFC 2104) over everything that the call means: the api, the method, the path and the query in
//! the normal form of RFC 3986 section 6.2.2, when it ends, and for which customer, tenant and subject it is. It stands at the
//! end of the query, its parameters each once and in one order; they do not go on to the backend.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

use super::known::Known;
use super::presented::Presented;
use crate::base::clock::UnixTime;
use crate::base::digest::KeyedDigest;
use crate::config::plan::SignedUrlPlan;
use crate::identity::{ApiName, CredentialKind, CustomerId, Identity, IssuerName, SubjectId, TenantId};
use crate::rejection::Rejection;

/// The parameters, in their order. `customer`, `tenant` may be missing.
const KEY: &str = "sig-key";
const EXPIRES: &str = "sig-expires";
const CUSTOMER: &str = "sig-customer";
const TENANT: &str = "sig-tenant";
const SUBJECT: &str = "sig-subject";
const VALUE: &str = "sig-value";

/// What is signed begins with this: another form of it would be another word.
const FORM: &[u8] = b"tollgate signed URL 1";

/// A set of keys: the first signs, all of them verify.
#[derive(Debug)]
pub struct UrlKeys {
    name: IssuerName,
    keys: Box<[(Box<str>, KeyedDigest)]>,
}

/// For whom a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Who made it.
    pub subject: SubjectId,
    /// Who pays.
    pub customer: Option<CustomerId>,
    /// Whose data it is about.
    pub tenant: Option<TenantId>,
}

/// What a link is for.
#[derive(Debug, Clone, Copy)]
pub struct Link<'l> {
    /// The api that it leads to.
    pub api: &'l ApiName,
    /// The method.
    pub method: &'l Method,
    /// The path, in normal form.
    pub path: &'l str,
    /// The query without the signature; `None` for none.
    pub query: Option<&'l str>,
    /// When it ends.
    pub expires: UnixTime,
}

/// Links that a route takes.
#[derive(Debug, Clone)]
pub struct SignedUrls {
    api: ApiName,
    keys: Arc<UrlKeys>,
}

/// The parameters of a signature, as they came.
struct Signature<'q> {
    key: &'q str,
    expires: &'q str,
    customer: Option<&'q str>,
    tenant: Option<&'q str>,
    subject: &'q str,
    value: &'q str,
}

impl UrlKeys {
    /// The keys of a plan.
    pub fn new(plan: &SignedUrlPlan) -> UrlKeys {
        let keys = plan.keys.iter();
        UrlKeys {
            name: plan.name.clone(),
            keys: keys
                .map(|(id, secret)| (id.as_str().into(), KeyedDigest::of_secret(secret)))
                .collect(),
        }
    }

    /// The target of a link: path, query and signature. `None` without a key, which the plan excludes.
    pub fn sign(&self, link: &Link<'_>, bearer: &Bearer) -> Option<String> {
        let (id, key) = self.keys.first()?;
        let value = key.of(&parts(link, bearer, link.expires).each_ref().map(|part| &**part));
        let mut target = link.path.to_owned();
        target.push('?');
        if let Some(query) = link.query.filter(|query| !query.is_empty()) {
            target.push_str(query);
            target.push('&');
        }
        // Writing to a text does not fail.
        let _ = write!(target, "{KEY}={id}&{EXPIRES}={}", link.expires.0);
        for (name, said) in [
            (CUSTOMER, bearer.customer.as_ref().map(CustomerId::as_str)),
            (TENANT, bearer.tenant.as_ref().map(TenantId::as_str)),
            (SUBJECT, Some(bearer.subject.as_str())),
        ] {
            if let Some(said) = said {
                let _ = write!(target, "&{name}={}", encoded(said));
            }
        }
        let _ = write!(target, "&{VALUE}={}", value.base64url());
        Some(target)
    }
}

impl SignedUrls {
    /// Links of these keys that lead to this api.
    pub fn new(api: ApiName, keys: Arc<UrlKeys>) -> SignedUrls {
        SignedUrls { api, keys }
    }

    /// The caller; `None` when the call is by no link.
    ///
    /// # Errors
    /// [`Rejection::CredentialsInvalid`] for a signature that is not that of this call, [`Rejection::TokenExpired`] for one
    /// whose time is over.
    pub(super) fn identify(
        &self,
        presented: &Presented<'_>,
        now: UnixTime,
    ) -> Result<Option<Arc<Known>>, Rejection> {
        let Some((query, signature)) = presented.query.and_then(split) else {
            return Ok(None);
        };
        let bad = |why| Rejection::CredentialsInvalid(why);
        let signature = signature.ok_or(bad("the signature of the URL is not whole"))?;
        let keys = self.keys.keys.iter();
        let known = keys
            .filter(|(id, _)| **id == *signature.key)
            .map(|(_, key)| key)
            .next();
        let key = known.ok_or(bad("the URL is signed by a key that is not there"))?;
        let expires = signature.expires.parse().map(UnixTime);
        let expires: UnixTime = expires.map_err(|_| bad("the end of the URL is no time"))?;
        // One spelling only: `+1` and `01` are 1 too.
        if expires.0.to_string() != signature.expires {
            return Err(bad("the end of the URL is no time"));
        }
        let bearer = signature.bearer().ok_or(bad("the URL is for nobody"))?;
        let link = Link {
            api: &self.api,
            // "The HEAD method is identical to GET except that the server MUST NOT send content" (RFC 9110 section 9.3.2).
            method: match *presented.method {
                Method::HEAD => &Method::GET,
                _ => presented.method,
            },
            path: presented.path,
            query,
            expires,
        };
        let value = key.of(&parts(&link, &bearer, expires).each_ref().map(|part| &**part));
        // In constant time: the text that is compared with is a digest of ours.
        if !bool::from(subtle::ConstantTimeEq::ct_eq(
            value.base64url().as_bytes(),
            signature.value.as_bytes(),
        )) {
            return Err(bad("the signature is not that of this URL"));
        }
        if now >= expires {
            return Err(Rejection::TokenExpired);
        }
        let identity = Identity {
            kind: CredentialKind::SignedUrl,
            issuer: self.keys.name.clone(),
            subject: bearer.subject,
            client: None,
            customer: bearer.customer,
            tenant: bearer.tenant,
            tenants: Vec::new(),
            region: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            expires,
        };
        Ok(Some(Arc::new(Known::new(identity, true, None, 0))))
    }
}

impl Signature<'_> {
    fn bearer(&self) -> Option<Bearer> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned);
        Some(Bearer {
            subject: SubjectId::try_from(decoded(self.subject)?.as_str()).ok()?,
            customer: match self.customer {
                Some(text) => Some(CustomerId::try_from(decoded(text)?.as_str()).ok()?),
                None => None,
            },
            tenant: match self.tenant {
                Some(text) => Some(TenantId::try_from(decoded(text)?.as_str()).ok()?),
                None => None,
            },
        })
    }
}

/// The target without its signature.
pub fn unsigned(target: &PathAndQuery) -> Option<PathAndQuery> {
    let query = target.query()?;
    let (own, _) = split(query)?;
    let text = match own {
        Some(own) => format!("{}?{own}", target.path()),
        None => target.path().to_owned(),
    };
    PathAndQuery::try_from(text).ok()
}

/// The query before the signature, and the signature if it is whole. `None` where there is none.
fn split(query: &str) -> Option<(Option<&str>, Option<Signature<'_>>)> {
    // The last: what stands before it may say anything.
    let at = query.rmatch_indices(KEY).map(|(at, _)| at).find(|at| {
        let before = query.get(..*at).unwrap_or_default();
        let after = query.get(*at + KEY.len()..).unwrap_or_default();
        (before.is_empty() || before.ends_with('&')) && after.starts_with('=')
    })?;
    let own = query.get(..at).unwrap_or_default();
    let own = own.strip_suffix('&').unwrap_or(own);
    let mut rest = query.get(at..).unwrap_or_default().split('&').peekable();
    let mut take = |name: &str| {
        let pair = rest.next_if(|pair| pair.split_once('=').is_some_and(|(own, _)| own == name))?;
        pair.split_once('=').map(|(_, value)| value)
    };
    let signature = (|| {
        Some(Signature {
            key: take(KEY)?,
            expires: take(EXPIRES)?,
            customer: take(CUSTOMER),
            tenant: take(TENANT),
            subject: take(SUBJECT)?,
            value: take(VALUE)?,
        })
    })();
    let is_whole = rest.next().is_none();
    Some((
        Some(own).filter(|own| !own.is_empty()),
        signature.filter(|_| is_whole),
    ))
}

/// All that is signed. What is not there and what is empty are different parts: the first has no mark before it.
fn parts<'p>(link: &Link<'p>, bearer: &'p Bearer, expires: UnixTime) -> [Cow<'p, [u8]>; 9] {
    let text = |text: &'p str| Cow::Borrowed(text.as_bytes());
    let marked = |said: Option<&str>| -> Cow<'p, [u8]> {
        match said {
            Some(said) => Cow::Owned([b"=", said.as_bytes()].concat()),
            None => Cow::Borrowed(b""),
        }
    };
    [
        Cow::Borrowed(FORM),
        text(link.api.as_str()),
        text(link.method.as_str()),
        text(link.path),
        // `/a?` and `/a` are one link: between the mark and the signature nothing would be left of the first.
        marked(
            link.query
                .filter(|query| !query.is_empty())
                .map(normal)
                .as_deref(),
        ),
        Cow::Owned(expires.0.to_string().into_bytes()),
        marked(bearer.customer.as_ref().map(CustomerId::as_str)),
        marked(bearer.tenant.as_ref().map(TenantId::as_str)),
        text(bearer.subject.as_str()),
    ]
}

/// RFC 3986 sections 6.2.2.1 and 6.2.2.2: escapes in upper case, and none of what needs none. Two spellings of one query that a
/// browser or a mail program makes of each other are the same then.
fn normal(query: &str) -> String {
    let mut out = String::with_capacity(query.len());
    let bytes = query.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%').then(|| query.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+'))) {
            Some(decoded) if is_unreserved(decoded) => {
                out.push(char::from(decoded));
                at += 3;
            }
            Some(decoded) => {
                let _ = write!(out, "%{decoded:02X}");
                at += 3;
            }
            None if byte.is_ascii_graphic() => {
                out.push(char::from(*byte));
                at += 1;
            }
            // Nothing else stands in a target that the guard lets through; if it does, it is escaped.
            None => {
                let _ = write!(out, "%{byte:02X}");
                at += 1;
            }
        }
    }
    out
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::base::secret::Secret;
    use crate::http::origin::Scheme;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const END: UnixTime = UnixTime(1_800_003_600);

    fn keys(ids: &[&str]) -> Arc<UrlKeys> {
        Arc::new(UrlKeys::new(&SignedUrlPlan {
            name: IssuerName::try_from("links").unwrap(),
            keys: ids
                .iter()
                .map(|id| ((*id).to_owned(), Secret::new(format!("{id:*<32}").into_bytes())))
                .collect(),
        }))
    }

    fn api(name: &str) -> ApiName {
        ApiName::try_from(name).unwrap()
    }

    fn bearer() -> Bearer {
        Bearer {
            subject: SubjectId::try_from("user/1|a+b").unwrap(),
            customer: Some(CustomerId::try_from("acme").unwrap()),
            tenant: None,
        }
    }

    fn made(keys: &UrlKeys, path: &str, query: Option<&str>) -> String {
        let link = Link {
            api: &api("portal"),
            method: &Method::GET,
            path,
            query,
            expires: END,
        };
        keys.sign(&link, &bearer()).unwrap()
    }

    fn asked(
        api: &ApiName,
        keys: &Arc<UrlKeys>,
        method: &Method,
        target: &str,
        now: UnixTime,
    ) -> Result<Option<Arc<Known>>, Rejection> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let presented = Presented {
            headers: &HeaderMap::new(),
            method,
            path,
            query,
            scheme: Scheme::Https,
            authority: "portal.test",
        };
        SignedUrls::new(api.clone(), Arc::clone(keys)).identify(&presented, now)
    }

    fn passes(keys: &Arc<UrlKeys>, method: &Method, target: &str) -> bool {
        matches!(asked(&api("portal"), keys, method, target, NOW), Ok(Some(_)))
    }

    #[test]
    fn a_link_is_good_for_its_call_alone_and_says_for_whom_it_is() {
        let keys = keys(&["k1"]);
        let target = made(&keys, "/files/a", Some("v=1&flag"));
        let known = asked(&api("portal"), &keys, &Method::GET, &target, NOW)
            .unwrap()
            .unwrap();
        let identity = &known.identity;
        assert_eq!(identity.subject.as_str(), "user/1|a+b");
        assert_eq!(identity.customer.as_ref().unwrap().as_str(), "acme");
        assert_eq!((identity.tenant.as_ref(), identity.expires), (None, END));
        assert!(passes(&keys, &Method::HEAD, &target));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert!(!passes(&keys, &method, &target), "{method}");
        }
        for (from, to) in [
            ("/files/a", "/files/b"),
            ("/files/a", "/files/a/"),
            ("v=1", "v=2"),
            ("v=1&", ""),
            ("v=1&flag", "flag&v=1"),
            ("v=1&flag&", ""),
            ("flag&", "flag&x=1&"),
            ("sig-expires=1800003600", "sig-expires=1900000000"),
            ("sig-expires=1800003600", "sig-expires=+1800003600"),
            ("sig-expires=1800003600", "sig-expires=01800003600"),
            ("sig-customer=acme", "sig-customer=evil"),
            ("&sig-customer=acme", ""),
            ("&sig-subject=", "&sig-tenant=t&sig-subject="),
            ("sig-subject=user", "sig-subject=root"),
            ("sig-key=k1", "sig-key=k2"),
            ("&sig-value=", "&sig-value=A"),
        ] {
            let changed = target.replacen(from, to, 1);
            assert_ne!(changed, target, "{from}");
            assert!(
                !passes(&keys, &Method::GET, &changed),
                "{from} -> {to}: {changed}"
            );
        }
        for changed in [
            format!("{target}&x=1"),
            format!("{target}&"),
            target.trim_end_matches('A').to_owned() + "!",
        ] {
            assert!(!passes(&keys, &Method::GET, &changed), "{changed}");
        }
        let elsewhere = asked(&api("other"), &keys, &Method::GET, &target, NOW);
        assert!(matches!(elsewhere, Err(Rejection::CredentialsInvalid(_))));
    }

    #[test]
    fn a_link_ends() {
        let keys = keys(&["k1"]);
        let target = made(&keys, "/files/a", None);
        let at = |now: i64| asked(&api("portal"), &keys, &Method::GET, &target, UnixTime(now));
        assert!(at(END.0 - 1).is_ok());
        assert!(matches!(at(END.0), Err(Rejection::TokenExpired)));
    }

    #[test]
    fn the_first_key_signs_and_each_verifies_until_it_is_taken_out() {
        let (old, both, new) = (keys(&["old"]), keys(&["new", "old"]), keys(&["new"]));
        let before = made(&old, "/a", None);
        let after = made(&both, "/a", None);
        assert!(after.contains("sig-key=new&"));
        assert!(passes(&both, &Method::GET, &before) && passes(&both, &Method::GET, &after));
        assert!(!passes(&new, &Method::GET, &before) && passes(&new, &Method::GET, &after));
    }

    #[test]
    fn equivalent_spellings_of_a_query_are_one() {
        let keys = keys(&["k1"]);
        let target = made(&keys, "/a", Some("name=o%27neil~%7e&x=%2f"));
        assert!(passes(
            &keys,
            &Method::GET,
            &target.replace("%7e", "~").replace("%2f", "%2F")
        ));
        assert!(
            !passes(&keys, &Method::GET, &target.replace("%2f", "/")),
            "a reserved character is not its escape"
        );
        assert_eq!(normal("%zz%4%41%e2%82%ac%+1"), "%zz%4A%E2%82%AC%+1");
    }

    #[test]
    fn a_call_without_a_signature_is_by_no_link() {
        let keys = keys(&["k1"]);
        for target in [
            "/a",
            "/a?x=sig-key=1",
            "/a?xsig-key=1",
            "/a?sig-value=x",
            "/a?sig-key",
        ] {
            assert!(
                matches!(asked(&api("portal"), &keys, &Method::GET, target, NOW), Ok(None)),
                "{target}"
            );
        }
    }

    #[test]
    fn the_backend_does_not_see_the_signature() {
        let keys = keys(&["k1"]);
        for query in [None, Some("v=1&flag"), Some("sig-key=1")] {
            let target: PathAndQuery = made(&keys, "/a", query).parse().unwrap();
            let own = unsigned(&target).unwrap();
            assert_eq!((own.path(), own.query()), ("/a", query));
        }
        assert_eq!(unsigned(&"/a?v=1".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn whatever_is_signed_verifies_and_nothing_panics(query in "[a-zA-Z0-9%&=;_.~+,|/-]{0,60}", other in "[ -~]{0,60}") {
            let keys = keys(&["k1"]);
            let target = made(&keys, "/a", Some(query.as_str()));
            prop_assert!(passes(&keys, &Method::GET, &target));
            let _ = asked(&api("portal"), &keys, &Method::GET, &format!("/a?{other}"), NOW);
            let _ = asked(&api("portal"), &keys, &Method::GET, &format!("{target}{other}"), NOW);
        }
    }
}
