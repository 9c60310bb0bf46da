//! Errors that the simulator has to find. Each is asked for at the very line where somebody might make it, and made in
//! tests alone, one at a time: outside of tests the answer is a constant, and nothing of this is left in the binary.

/// An error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Between history and live messages one message is missing.
    SpliceMisses,
    /// Between history and live messages one message comes twice.
    SpliceDoubles,
    /// Who falls out of the window goes on elsewhere, whatever is half sent.
    JumpInsideFrame,
    /// What a slow reader missed is not told.
    GapDropped,
    /// A message that comes during a hand-out does not make it go round once more.
    WakeUpLost,
    /// With an acknowledgement, everything that was sent counts as processed.
    RedeliveryForgotten,
    /// A position that the stream never gave is believed.
    ResumeBeyondHead,
    /// A position of which what follows is gone is believed.
    ResumeBeyondPurge,
    /// A message is sent on though others before it are missing.
    AppendBeforeRepair,
    /// What the stream does not have any more is not told.
    LossDropped,
    /// A subscription outlives the right to it.
    RightOutlived,
}

/// Whether this error is to be made.
#[cfg(not(test))]
pub(crate) const fn planted(_: Flaw) -> bool {
    false
}

/// Whether this error is to be made.
#[cfg(test)]
pub(crate) fn planted(flaw: Flaw) -> bool {
    PLANTED.get() == Some(flaw)
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Flaw>> = const { std::cell::Cell::new(None) };
}

/// Has this thread make an error, or none.
#[cfg(test)]
pub(crate) fn plant(flaw: Option<Flaw>) {
    PLANTED.set(flaw);
}
