//! What is known about the other end of a client's connection.

use std::net::SocketAddr;

use http::HeaderValue;

use crate::http::forwarded;

/// Facts about a connection, gathered once when it is opened.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The other end of the TCP connection. An IPv4 address that came through an IPv6 socket is plain IPv4 here.
    pub address: SocketAddr,
    /// This end of it.
    pub local: SocketAddr,
    /// Index of the listener in the plan.
    pub listener: usize,
    /// What the TLS handshake told; `None` without TLS.
    pub tls: Option<TlsFacts>,
    /// The address is one of the trusted proxies: what it says in `Forwarded` and `X-Forwarded-*` is believed.
    pub trusted: bool,
    /// The address as it stands in `X-Forwarded-For`.
    pub address_value: HeaderValue,
}

impl Peer {
    /// A connection from `address` to `local` on listener number `listener`, without TLS so far.
    pub fn new(address: SocketAddr, local: SocketAddr, listener: usize, trusted: bool) -> Peer {
        let address_value = forwarded::peer_value(address.ip());
        Peer {
            address,
            local,
            listener,
            tls: None,
            trusted,
            address_value,
        }
    }
}

/// What a TLS handshake told.
#[derive(Debug, Clone, Default)]
pub struct TlsFacts {
    /// The server name that the client asked for (RFC 6066 section 3), lower case.
    pub server_name: Option<Box<str>>,
    /// ALPN agreed on HTTP/2 (RFC 7301).
    pub http2: bool,
    /// The client's certificate, verified against the listener's authorities.
    pub client: Option<Box<ClientCertificate>>,
}

/// A verified client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject as text, such as `CN=device-7, O=Example`; empty where it could not be read.
    pub subject: String,
    /// SHA-256 of the certificate's DER form, as in the `x5t#S256` of RFC 8705 section 3.1.
    pub fingerprint: [u8; 32],
}
