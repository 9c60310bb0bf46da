//! The limit of open files: every connection is one.

use std::io;

/// Raises the soft limit to the hard limit and gives back what may be open now. Beyond the hard limit only the
/// administrator of the machine can go.
pub fn raise() -> io::Result<u64> {
    let limit = rlimit::increase_nofile_limit(rlimit::INFINITY)?;
    tracing::info!(limit, "Open files are limited to the hard limit.");
    Ok(limit)
}

/// Most files kept back for what is not a client: 64 connections of the admin port, shards, listeners, NATS. Of a
/// very low limit it is half.
const OWN: u64 = 128;
/// One in so many of the others is for connections that are still HTTP: they are what refusals are answered on.
const HTTP_SHARE: u64 = 8;
/// Most connections that are HTTP at a time. Each holds some 10 KiB for its milliseconds, which the allocator may
/// keep after a crowd; who comes meanwhile waits in the kernel's queue.
const HTTP_MOST: u64 = 512;

/// How the files that may be open are shared out, so that clients never take the last one: beyond their share they
/// are told so, and health and metrics are still there to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Connections of clients on the shards.
    pub connections: u64,
    /// Connections that are still HTTP; at least one.
    pub http: u64,
}

/// Shares out this many files.
pub fn share(limit: u64) -> Shares {
    let clients = limit - OWN.min(limit / 2);
    let http = (clients / HTTP_SHARE).clamp(1, HTTP_MOST);
    Shares { connections: clients.saturating_sub(http).max(1), http }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rlimit::Resource;

    use super::{OWN, Shares, share};

    #[test]
    fn clients_never_get_all_files() {
        assert_eq!(share(200), Shares { connections: 88, http: 12 });
        assert_eq!(share(1024), Shares { connections: 784, http: 112 });
        assert_eq!(share(20_000), Shares { connections: 19_360, http: 512 });
        for limit in (4..5000).chain([u64::MAX - 1, u64::MAX]) {
            let Shares { connections, http } = share(limit);
            assert!(
                connections > 0 && http > 0 && limit - connections - http >= OWN.min(limit / 2),
                "{limit}"
            );
        }
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        let (_, hard) = Resource::NOFILE.get().unwrap();
        // Only just below, so that tests beside this one do not run out of files.
        Resource::NOFILE.set(hard - 1, hard).unwrap();
        assert_eq!(super::raise().unwrap(), hard);
        assert_eq!(Resource::NOFILE.get().unwrap(), (hard, hard));
    }
}
