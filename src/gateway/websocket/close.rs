//! Every close code the gateway sends, with the reason it gives where nothing better is known.

use std::fmt;

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $reason:literal,)*) => {
        /// Why the gateway closes a connection (RFC 6455 § 7.4, and 4400–4499 of its own).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum CloseCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl CloseCode {
            /// All of them, in the order of their numbers; bounds the label values of a metric.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason text where the caller has none that says more.
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                }
            }
        }
    };
}

close_codes! {
    /// Answer to a client that closes.
    Normal = 1000 "closed by the client",
    /// The gateway stops at once.
    GoingAway = 1001 "the gateway is going away",
    /// RFC 6455 was broken.
    Protocol = 1002 "websocket protocol error",
    /// A binary frame: the protocol is text.
    Binary = 1003 "binary frames are not accepted: send JSON text",
    /// Text that is not UTF-8.
    Utf8 = 1007 "text must be valid utf-8",
    /// More than `limits.messageBytes`.
    TooBig = 1009 "message over the size limit",
    /// The gateway drains.
    Drain = 1012 "the gateway is draining: reconnect and resume",
    /// No room.
    Capacity = 1013 "the gateway is at capacity: try again later",
    /// No valid token in time, or it ended and was not replaced.
    Unauthenticated = 4401 "not authenticated in time, or the token expired",
    /// Origin or policy.
    Forbidden = 4403 "forbidden by policy",
    /// No answer to a ping.
    NoPong = 4408 "no pong in time",
    /// Fell out of the window.
    SlowConsumer = 4409 "slow consumer: reconnect and resume",
    /// Too many errors, or more owed than is kept for one client.
    TooFast = 4429 "too fast: wait before reconnecting",
}

impl CloseCode {
    /// The number on the wire.
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_protocol() {
        let codes: Vec<u16> = CloseCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes, [1000, 1001, 1002, 1003, 1007, 1009, 1012, 1013, 4401, 4403, 4408, 4409, 4429]);
    }

    #[test]
    fn every_reason_fits_a_close_frame() {
        for code in CloseCode::ALL {
            assert!((1..=123).contains(&code.reason().len()), "{code}");
        }
    }
}
