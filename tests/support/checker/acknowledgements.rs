//! I4: on a topic with `AtLeastOnce`, what is not acknowledged comes again in time, and nothing else does.

use std::collections::{BTreeMap, HashMap};

use super::{
    answers::{Answers, Wrong},
    history::{Limits, Nanos, Seq},
    report::Rule,
};

#[derive(Debug)]
struct Flight {
    id: Option<String>,
    sent: Nanos,
    /// A gap that came since names it or a later one: nobody says that it will come again.
    given_up: bool,
}

/// The messages of one topic that a connection has received.
#[derive(Debug, Default)]
pub(super) struct Flights {
    /// Not acknowledged.
    open: BTreeMap<Seq, Flight>,
    /// Acknowledged: when it was sent last, when it was acknowledged, and by which command.
    acknowledged: HashMap<Seq, (Nanos, Nanos, usize)>,
}

/// What a message that comes again may have waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits<'a> {
    pub(super) answers: &'a Answers,
    /// The client has not read for a while, so that what comes now may be old.
    pub(super) stalled: bool,
}

impl Flights {
    /// A message came for the first time on this connection.
    pub(super) fn delivered(&mut self, seq: Seq, id: Option<&str>, now: Nanos) {
        self.acknowledged.remove(&seq);
        self.open.insert(seq, Flight { id: id.map(Into::into), sent: now, given_up: false });
    }

    pub(super) fn has(&self, seq: Seq) -> bool {
        self.open.contains_key(&seq) || self.acknowledged.contains_key(&seq)
    }

    /// A cumulative acknowledgement.
    pub(super) fn up_to(&mut self, seq: Seq, now: Nanos, order: usize, limits: &Limits) -> Vec<Wrong> {
        let later = self.open.split_off(&seq.saturating_add(1));
        let flights = std::mem::replace(&mut self.open, later);
        flights
            .into_iter()
            .filter_map(|(seq, flight)| self.acknowledge(seq, &flight, now, order, limits))
            .collect()
    }

    /// An acknowledgement of one message.
    pub(super) fn one(&mut self, id: &str, now: Nanos, order: usize, limits: &Limits) -> Option<Wrong> {
        let seq = *self.open.iter().find(|(_, flight)| flight.id.as_deref() == Some(id))?.0;
        let flight = self.open.remove(&seq)?;
        self.acknowledge(seq, &flight, now, order, limits)
    }

    fn acknowledge(
        &mut self,
        seq: Seq,
        flight: &Flight,
        now: Nanos,
        order: usize,
        limits: &Limits,
    ) -> Option<Wrong> {
        self.acknowledged.insert(seq, (flight.sent, now, order));
        overdue(seq, flight, now, limits)
    }

    /// A gap came that ends with this number. What is gone from the stream cannot be sent again.
    pub(super) fn gap(&mut self, to: Option<Seq>, now: Nanos, limits: &Limits) -> Vec<Wrong> {
        let flights = self.open.range_mut(..=to.unwrap_or(Seq::MAX));
        let give_up = |(seq, flight): (&Seq, &mut Flight)| {
            let late = overdue(*seq, flight, now, limits);
            flight.given_up = true;
            late
        };
        flights.filter_map(give_up).collect()
    }

    /// A message came again.
    pub(super) fn again(&mut self, seq: Seq, now: Nanos, waits: Waits<'_>, limits: &Limits) -> Vec<Wrong> {
        let early = |sent: Nanos| now < sent + limits.ack_timeout.saturating_sub(limits.ack_tolerance);
        let too_early = || (Rule::Redelivered, Some(seq), "sent again before `ackTimeoutSeconds`".to_owned());
        if let Some(flight) = self.open.get_mut(&seq) {
            let late = overdue(seq, flight, now, limits);
            let sent = std::mem::replace(&mut flight.sent, now);
            flight.given_up = false;
            return late.into_iter().chain(early(sent).then(too_early)).collect();
        }
        let Some((sent, at, order)) = self.acknowledged.get_mut(&seq) else { return Vec::new() };
        // An answer may overtake what already waits to be sent, so that some time is allowed in any case.
        let allowed =
            if waits.answers.surely_read(*order) { limits.grace } else { limits.settle.max(limits.grace) };
        let late = now > *at + allowed && !waits.stalled;
        let after = || (Rule::Redelivered, Some(seq), "sent again after its acknowledgement".to_owned());
        let sent = std::mem::replace(sent, now);
        early(sent).then(too_early).into_iter().chain(late.then(after)).collect()
    }

    /// The subscription ends: what should have come again by now?
    pub(super) fn end(&self, now: Nanos, limits: &Limits) -> Vec<Wrong> {
        self.open.iter().filter_map(|(seq, flight)| overdue(*seq, flight, now, limits)).collect()
    }
}

fn overdue(seq: Seq, flight: &Flight, now: Nanos, limits: &Limits) -> Option<Wrong> {
    let due = flight.sent + limits.ack_timeout + limits.ack_tolerance;
    (now > due && !flight.given_up)
        .then(|| (Rule::NotRedelivered, Some(seq), "neither acknowledged nor sent again in time".into()))
}
