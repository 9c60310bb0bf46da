//! A topic is a log of ready WebSocket frames, a subscriber is a cursor in it. Pure: no I/O, no clock.
//!
//! ```text
//!   tail                               head
//!    │  frame │ frame │ frame │ frame   │      positions are bytes since the log began and never go back
//!    └──────────▲───────────────▲───────┘
//!            a laggard's     everybody else
//!             cursor           (= head)
//! ```
//!
//! Positions are those of the plain frames. Those who are sent compressed ones ([`Log::pack`]) are always at a boundary:
//! the rest of a frame that is half sent is theirs.
//!
//! The log keeps what somebody still has to be sent, within a [`Window`] of bytes and age. Who falls out of
//! the window is treated as the topic's slow-consumer policy says ([`fall_out`]).

mod chunk;
mod cursor;

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, io::IoSlice, sync::Arc};

use chunk::Chunk;
pub use chunk::{Mark, Pool};
pub use cursor::{Missed, Verdict, fall_out};

use crate::api::Seq;

/// Most buffers one write is gathered from. Chunks are 64 KiB, so this is far above any socket buffer.
pub const MAX_SLICES: usize = 16;

/// How much a log keeps for those who are behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Bytes of frames; the newest frame is always kept, however large.
    pub bytes: u64,
    /// Age in seconds.
    pub seconds: u32,
}

/// The frames of one sub-socket. An empty log holds no memory but itself.
#[derive(Debug, Default)]
pub struct Log {
    chunks: VecDeque<Chunk>,
    head: u64,
    tail: u64,
}

impl Log {
    /// Position behind the newest byte: where a new subscriber starts.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Position of the oldest byte kept.
    pub fn tail(&self) -> u64 {
        self.tail
    }

    /// Bytes of frames kept.
    pub fn bytes(&self) -> u64 {
        self.head - self.tail
    }

    /// Adds one whole frame. A frame never spans two chunks, so that it can be sent from one buffer.
    pub fn append(&mut self, frame: &[u8], mark: Mark, pool: &mut Pool) {
        if !self.chunks.back().is_some_and(|chunk| chunk.has_room(frame.len())) {
            self.chunks.push_back(Chunk::new(self.head, pool));
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.push(frame, mark);
            self.head += frame.len() as u64;
            pool.kept(frame.len() as u64);
        }
    }

    /// The bytes from `from` up to `to` as at most [`MAX_SLICES`] buffers; returns how many of `out` are filled.
    pub fn gather<'a>(&'a self, from: u64, to: u64, out: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut filled = 0;
        for chunk in self.chunks.iter().skip(self.chunk_of(from)) {
            if filled == MAX_SLICES || chunk.start() >= to {
                break;
            }
            out[filled] = IoSlice::new(chunk.slice(from, to));
            filled += 1;
        }
        filled
    }

    /// Makes the compressed variant of the frames within `[from, to)`, once, by `pack`, which appends that of one frame.
    /// It is no longer than the frames, so that a log with it takes at most twice its bytes.
    pub fn pack(&mut self, from: u64, to: u64, pool: &mut Pool, mut pack: impl FnMut(&[u8], &mut Vec<u8>)) {
        let first = self.chunk_of(from);
        for chunk in self.chunks.iter_mut().skip(first).take_while(|chunk| chunk.start() < to) {
            chunk.pack(to, pool, &mut pack);
        }
    }

    /// As [`Log::gather`], of the compressed variant, which must have been made; both are boundaries.
    pub fn gather_packed<'a>(&'a self, from: u64, to: u64, out: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let chunks = self.chunks.iter().skip(self.chunk_of(from)).take_while(|chunk| chunk.start() < to);
        let mut filled = 0;
        for (slice, chunk) in out.iter_mut().zip(chunks) {
            *slice = IoSlice::new(chunk.packed(from, to));
            filled += 1;
        }
        filled
    }

    /// Where a cursor is that was at `from` (a boundary), after `sent` bytes of the compressed variant: behind the last
    /// frame that was begun, of which the rest is returned.
    pub fn packed_at(&self, from: u64, mut sent: usize) -> (u64, &[u8]) {
        let mut from = from;
        for chunk in self.chunks.iter().skip(self.chunk_of(from)) {
            from = from.max(chunk.start());
            let whole = chunk.packed(from, chunk.end()).len();
            if sent <= whole {
                return chunk.packed_at(from, sent);
            }
            sent -= whole;
        }
        (self.head, &[])
    }

    /// The bytes from `from` up to `to`, copied: the rest of one frame that has to leave the log.
    pub fn copy(&self, from: u64, to: u64) -> Vec<u8> {
        let chunks = self.chunks.iter().skip(self.chunk_of(from)).take_while(|chunk| chunk.start() < to);
        chunks.flat_map(|chunk| chunk.slice(from, to)).copied().collect()
    }

    /// The first frame boundary at or after `position`.
    pub fn boundary(&self, position: u64) -> u64 {
        match self.chunks.get(self.chunk_of(position)) {
            Some(chunk) if position > self.tail => chunk.boundary(position),
            _ => position.max(self.tail),
        }
    }

    /// The messages that end within `(from, to]`, oldest first.
    pub fn messages(&self, from: u64, to: u64) -> impl Iterator<Item = &Mark> {
        let chunks = self.chunks.iter().skip(self.chunk_of(from)).take_while(move |chunk| chunk.start() < to);
        chunks.flat_map(move |chunk| chunk.messages(from, to))
    }

    /// The frame that begins at `position` (a boundary): its end and its topic, where the log keeps topics.
    pub fn frame(&self, position: u64) -> Option<(u64, Option<&Arc<str>>)> {
        self.chunks.get(self.chunk_of(position))?.frame(position)
    }

    /// Where the newest message begins; the head where there is none.
    pub fn newest(&self) -> u64 {
        self.chunks.iter().rev().find_map(Chunk::newest).map_or(self.head, |start| start.max(self.tail))
    }

    /// The first and last sequence number of the messages within `[from, to)`, where they have one; those that an
    /// announcement speaks of are among them.
    pub fn sequences(&self, from: u64, to: u64) -> Option<(Seq, Seq)> {
        let chunks = self.chunks.iter().skip(self.chunk_of(from)).take_while(|chunk| chunk.start() < to);
        chunks
            .filter_map(|chunk| chunk.sequences(from, to))
            .reduce(|whole, part| (whole.0.min(part.0), whole.1.max(part.1)))
    }

    /// The new tail this log has to be cut to, to be within `window` at second `now`; `None` if it is.
    ///
    /// A log over its bytes is cut to seven eighths, so that the work of looking at those who are behind is
    /// done once per eighth of a window and not once per message.
    pub fn excess(&self, window: Window, now: u32) -> Option<u64> {
        let mut cut = self.tail;
        if self.bytes() > window.bytes {
            cut = self.boundary(self.head - (window.bytes - window.bytes / 8).min(self.bytes()));
        }
        let too_old = now.saturating_sub(window.seconds);
        for chunk in &self.chunks {
            match chunk.first_younger(too_old) {
                None => cut = cut.max(chunk.end()),
                Some(start) => {
                    cut = cut.max(start);
                    break;
                }
            }
        }
        // Age may take the newest frame; bytes never do.
        if self.bytes() > window.bytes && cut == self.head {
            cut = self.last_start().max(self.tail);
        }
        (cut > self.tail).then_some(cut)
    }

    /// Forgets everything before `position` (a boundary).
    pub fn trim(&mut self, position: u64, pool: &mut Pool) {
        let position = position.clamp(self.tail, self.head);
        pool.released(position - self.tail);
        self.tail = position;
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= position) {
            if let Some(chunk) = self.chunks.pop_front() {
                pool.give(chunk);
            }
        }
    }

    /// Forgets everything: nobody is behind.
    pub fn clear(&mut self, pool: &mut Pool) {
        self.trim(self.head, pool);
    }

    /// Gives back memory beyond what the kept frames need. For logs that stay filled because somebody is behind.
    pub fn settle(&mut self) {
        for chunk in &mut self.chunks {
            chunk.settle();
        }
    }

    fn last_start(&self) -> u64 {
        self.chunks.back().map_or(self.head, Chunk::last_start)
    }

    /// Index of the chunk that holds the byte at `position`, or the number of chunks at the head.
    fn chunk_of(&self, position: u64) -> usize {
        // Nearly always the last one.
        if self.chunks.back().is_some_and(|chunk| chunk.start() <= position && position < chunk.end()) {
            return self.chunks.len() - 1;
        }
        self.chunks.partition_point(|chunk| chunk.end() <= position)
    }
}
