//! The limit of open files: every connection is one.

use std::io;

/// Raises the soft limit to the hard limit and gives back what may be open now. Beyond the hard limit only the
/// administrator of the machine can go.
pub fn raise() -> io::Result<u64> {
    let limit = rlimit::increase_nofile_limit(rlimit::INFINITY)?;
    tracing::info!(limit, "Open files are limited to the hard limit.");
    Ok(limit)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rlimit::Resource;

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        let (_, hard) = Resource::NOFILE.get().unwrap();
        // Only just below, so that tests beside this one do not run out of files.
        Resource::NOFILE.set(hard - 1, hard).unwrap();
        assert_eq!(super::raise().unwrap(), hard);
        assert_eq!(Resource::NOFILE.get().unwrap(), (hard, hard));
    }
}
