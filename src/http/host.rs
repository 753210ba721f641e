//! `uri-host [ ":" port ]`, as strictly as the names of real servers allow (RFC 3986 section 3.2.2, RFC 1123 section 2.1).

use std::net::Ipv6Addr;

/// A host name in the form in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostName {
    /// These bytes of the authority, from and to.
    Span(u16, u16),
    /// It had to be changed.
    Changed(Box<str>),
}

/// The longest name (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;

/// Reads an authority. `None` unless it is a name, an IPv4 address or an IPv6 address in brackets, with or without a
/// port of 1 to 5 digits up to 65535. User information, percent-encoding, lists, empty labels, zones and blanks are
/// refused: no client needs them here, and servers differ about them.
///
/// The name is in lower case without its final dot; an address in its canonical form.
pub(super) fn parse(authority: &str) -> Option<HostName> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        if !port.is_empty() {
            check_port(port.strip_prefix(':')?)?;
        }
        let parsed: Ipv6Addr = address.parse().ok()?;
        return Some(HostName::Changed(parsed.to_string().into_boxed_str()));
    }
    let name = match authority.split_once(':') {
        Some((name, port)) => {
            check_port(port)?;
            name
        }
        None => authority,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_lower = check_name(name)?;
    if is_lower {
        Some(HostName::Span(0, u16::try_from(name.len()).ok()?))
    } else {
        Some(HostName::Changed(name.to_ascii_lowercase().into_boxed_str()))
    }
}

/// Host and port of an authority, the host in the form in which it is compared. `None` for what [`parse`] refuses.
pub(super) fn name_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let host = match parse(authority)? {
        HostName::Span(start, end) => authority.get(usize::from(start)..usize::from(end))?.to_owned(),
        HostName::Changed(host) => host.into_string(),
    };
    let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
    let port = behind.split_once(':').and_then(|(_, port)| port.parse().ok());
    Some((host, port))
}

/// Is `text` a host, with or without a port?
pub fn is_authority(text: &str) -> bool {
    parse(text).is_some()
}

/// The form in which a host of the configuration is compared: as [`super::head::Head::host`] gives it. `None` for what
/// no request can name.
pub fn canonical(host: &str) -> Option<String> {
    if let Ok(address) = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<Ipv6Addr>()
    {
        return Some(address.to_string());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    check_name(name).map(|_| name.to_ascii_lowercase())
}

/// Whether a name is in lower case; `None` when it is no name.
fn check_name(name: &str) -> Option<bool> {
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let mut is_lower = true;
    let mut after_dot = true;
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => after_dot = false,
            b'A'..=b'Z' => {
                is_lower = false;
                after_dot = false;
            }
            b'.' if !after_dot => after_dot = true,
            _ => return None,
        }
    }
    if after_dot { None } else { Some(is_lower) }
}

fn check_port(port: &str) -> Option<()> {
    let is_number = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && port.parse::<u16>().is_ok()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(authority: &str) -> Option<String> {
        parse(authority).map(|host| match host {
            HostName::Span(start, end) => authority[usize::from(start)..usize::from(end)].to_owned(),
            HostName::Changed(host) => host.into_string(),
        })
    }

    #[test]
    fn hosts_are_read_without_port_and_in_one_form() {
        for (authority, host) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.COM:8443", "api.example.com"),
            ("api.example.com.", "api.example.com"),
            ("api.example.com.:80", "api.example.com"),
            ("10.0.0.1:8080", "10.0.0.1"),
            ("my_service", "my_service"),
            ("[::1]", "::1"),
            ("[0:0:0:0:0:0:0:1]:443", "::1"),
            ("[2001:DB8::A]", "2001:db8::a"),
        ] {
            assert_eq!(of(authority).as_deref(), Some(host), "{authority}");
            assert_eq!(canonical(host).as_deref(), Some(host), "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for authority in [
            "",
            ":80",
            "a:",
            "a:x",
            "a:80:80",
            "a:+80",
            "a:99999",
            "a:000080",
            "u@a",
            "u:p@a",
            "a/b",
            "a\\b",
            "a b",
            " a",
            "a,b",
            "a%41",
            "%61",
            "a..b",
            ".a",
            ".",
            "a?b",
            "a#b",
            "[::1",
            "::1",
            "[::1]x",
            "[::1%25eth0]",
            "[fe80::1%eth0]",
            "[v1.x]",
            "[10.0.0.1]",
            "ä.example",
            "a\tb",
            "a;b",
            "(a)",
            "http://a",
            "[::1]:",
            "a\u{0}",
        ] {
            assert_eq!(of(authority), None, "{authority:?}");
        }
        assert_eq!(of(&"a".repeat(254)), None);
    }

    #[test]
    fn hosts_of_the_configuration_get_the_same_form() {
        assert_eq!(canonical("[::1]").as_deref(), Some("::1"));
        assert_eq!(canonical("API.example.com.").as_deref(), Some("api.example.com"));
        assert_eq!(canonical("a b"), None);
    }
}
