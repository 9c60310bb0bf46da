//! I4: on a topic with `AtLeastOnce`, what is not acknowledged comes again in time, and nothing else does.

use std::collections::BTreeMap;

use super::{
    answers::{Answers, Wrong},
    history::{Limits, Nanos, Seq},
    report::Rule,
};

#[derive(Debug)]
struct Flight {
    id: Option<String>,
    sent: Nanos,
    /// When, and as which command.
    acknowledged: Option<(Nanos, usize)>,
}

/// The messages of one topic that a connection has received.
#[derive(Debug, Default)]
pub(super) struct Flights(BTreeMap<Seq, Flight>);

impl Flights {
    /// A message came for the first time on this connection.
    pub(super) fn delivered(&mut self, seq: Seq, id: Option<&str>, now: Nanos) {
        self.0.insert(seq, Flight { id: id.map(Into::into), sent: now, acknowledged: None });
    }

    pub(super) fn has(&self, seq: Seq) -> bool {
        self.0.contains_key(&seq)
    }

    /// A cumulative acknowledgement.
    pub(super) fn up_to(&mut self, seq: Seq, now: Nanos, order: usize, limits: &Limits) -> Vec<Wrong> {
        let flights = self.0.range_mut(..=seq).map(|(seq, flight)| (*seq, flight));
        acknowledge(flights, now, order, limits)
    }

    /// An acknowledgement of one message.
    pub(super) fn one(&mut self, id: &str, now: Nanos, order: usize, limits: &Limits) -> Vec<Wrong> {
        let flights = self.0.iter_mut().map(|(seq, flight)| (*seq, flight));
        acknowledge(flights.filter(|(_, flight)| flight.id.as_deref() == Some(id)), now, order, limits)
    }

    /// A message came again.
    pub(super) fn again(&mut self, seq: Seq, now: Nanos, answers: &Answers, limits: &Limits) -> Vec<Wrong> {
        let Some(flight) = self.0.get_mut(&seq) else { return Vec::new() };
        let mut wrong: Vec<_> = overdue(seq, flight, now, limits).into_iter().collect();
        if now < flight.sent + limits.ack_timeout.saturating_sub(limits.ack_tolerance) {
            wrong.push((Rule::Redelivered, Some(seq), "sent again before `ackTimeoutSeconds`".into()));
        }
        if let Some((at, order)) = flight.acknowledged {
            // An answer may overtake what already waits to be sent, so that some time is allowed in any case.
            let allowed = if answers.surely_read(order) { limits.grace } else { limits.settle };
            if now > at + allowed {
                wrong.push((Rule::Redelivered, Some(seq), "sent again after its acknowledgement".into()));
            }
        }
        flight.sent = now;
        wrong
    }

    /// The subscription ends: what should have come again by now?
    pub(super) fn end(&self, now: Nanos, limits: &Limits) -> Vec<Wrong> {
        self.0.iter().filter_map(|(seq, flight)| overdue(*seq, flight, now, limits)).collect()
    }
}

fn acknowledge<'a>(
    flights: impl Iterator<Item = (Seq, &'a mut Flight)>,
    now: Nanos,
    order: usize,
    limits: &Limits,
) -> Vec<Wrong> {
    let open = flights.filter(|(_, flight)| flight.acknowledged.is_none());
    open.filter_map(|(seq, flight)| {
        let late = overdue(seq, flight, now, limits);
        flight.acknowledged = Some((now, order));
        late
    })
    .collect()
}

fn overdue(seq: Seq, flight: &Flight, now: Nanos, limits: &Limits) -> Option<Wrong> {
    let due = flight.sent + limits.ack_timeout + limits.ack_tolerance;
    (flight.acknowledged.is_none() && now > due)
        .then(|| (Rule::NotRedelivered, Some(seq), "neither acknowledged nor sent again in time".into()))
}
