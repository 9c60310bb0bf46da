//! Where a token may stand in a request, and who holds it.

use std::sync::Arc;

use axum::{
    extract::Query,
    http::{HeaderMap, Uri, header::AUTHORIZATION},
};

use super::Front;
use crate::gateway::{
    access::Identity,
    protocol::{ErrorCode, session::Refusal},
};

/// Who a request comes from that cannot authenticate itself later.
pub(super) fn identify(front: &Front, headers: &HeaderMap, uri: &Uri) -> Result<Arc<Identity>, Refusal> {
    match (front.identify)(token(headers, uri).as_deref()) {
        Ok(Some(identity)) => Ok(identity),
        Ok(None) => {
            let message =
                "a token is needed here: send it as `Authorization: Bearer …` or as `?access_token=…`";
            Err(Refusal::new(ErrorCode::AuthRequired, message, None))
        }
        Err(why) => Err(Refusal::new(ErrorCode::AuthFailed, why, None)),
    }
}

/// The token of `Authorization: Bearer …` or else of `?access_token=…`, for browsers cannot set headers
/// on a WebSocket (RFC 6750 §2.1 and §2.3). Other schemes are not for us: a proxy before us may use them.
pub(super) fn token(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    bearer(headers).or_else(|| {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
        pairs.into_iter().find(|(name, _)| name == "access_token").map(|(_, value)| value)
    })
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_where_it_may_stand() {
        for (header, uri, found) in [
            (None, "/ws", None),
            (Some("Bearer a.b.c"), "/ws", Some("a.b.c")),
            (Some("bearer  a.b.c "), "/ws", Some("a.b.c")),
            (Some("Basic dTpw"), "/ws", None),
            (Some("Basic dTpw"), "/ws?access_token=q", Some("q")),
            (None, "/ws?access_token=a%2Eb", Some("a.b")),
            (None, "/ws?x=1&access_token=q&access_token=r", Some("q")),
            (None, "/ws?access_token=", Some("")),
            (None, "/ws?my_access_token=q", None),
            (Some("Bearer h"), "/ws?access_token=q", Some("h")),
        ] {
            let headers = header.map(|value| (AUTHORIZATION, value.parse().unwrap())).into_iter().collect();
            assert_eq!(token(&headers, &uri.parse().unwrap()).as_deref(), found, "{header:?} {uri}");
        }
    }
}
