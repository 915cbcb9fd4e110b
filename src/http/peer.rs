//! Whose address goes into the log: the peer's, or what a trusted proxy says of it.

use std::net::IpAddr;

use actix_web::HttpRequest;

use crate::settings::Network;

/// The address of whoever sent the request. `X-Forwarded-For` is believed only as far as trusted proxies wrote it:
/// from the right, up to the first address that is not one of them.
pub(super) fn ip(request: &HttpRequest, trusted: &[Network]) -> String {
    let Some(peer) = request.peer_addr().map(|peer| peer.ip().to_canonical()) else { return String::new() };
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
    let mut believed = peer;
    let hops: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(believed) {
            break;
        }
        let Ok(ip) = hop.trim().parse::<IpAddr>() else { break };
        believed = ip.to_canonical();
    }
    believed.to_string()
}
