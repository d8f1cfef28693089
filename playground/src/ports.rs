//! Ports, held from before anything starts until their service takes over.
//!
//! The rule: a port that somebody else has is an error that names the service and the flag,
//! found before anything was started; nothing ever talks to what answers there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::settings::Usage;

/// Listens on the port (0: any free one) of the loopback interface.
pub(crate) fn claim(service: &str, flag: &str, port: u16) -> Result<TcpListener, Usage> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AddrInUse => "is in use".to_owned(),
            std::io::ErrorKind::PermissionDenied => "needs privileges".to_owned(),
            _ => format!("cannot be used ({error})"),
        };
        Usage(format!("{service}: port {port} {reason}; choose another one with `{flag}`"))
    })
}
