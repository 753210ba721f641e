//! Socket options of connections that the gateway opens, each with its reason.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// An idle connection is asked for a sign of life after so long. Firewalls and address translators forget idle flows
/// after a few minutes without telling either end; a probe well below that keeps the flow or finds out that it is gone.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Between two unanswered probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered probes until the connection is given up: 30 s + 3 × 10 s after the last sign of life.
const KEEPALIVE_PROBES: u32 = 3;
/// Written bytes that stay unacknowledged for so long end the connection (RFC 5482). Without it a host that vanished
/// under a half-sent request is retried by the kernel for up to 15 minutes, and keep-alive probes do not run meanwhile.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Sets what a connection to a backend needs.
///
/// - no Nagle delay: a request's head is one small write, which Nagle's rule would hold back until the answer to the
///   one before is acknowledged (up to 40 ms with delayed acknowledgements);
/// - keep-alive probes and a user timeout: see the constants.
///
/// # Errors
/// When the system refuses an option; the socket is not usable as intended then.
pub fn tune_outgoing(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}
