//! One contiguous piece of a log, and the buffers that go round between the logs of a shard.

use std::sync::Arc;

use crate::api::{Seq, Stamp};

/// Bytes after which a log begins a new chunk.
const CHUNK_BYTES: usize = 64 * 1024;
/// Most buffers a pool keeps: 64 × 64 KiB = 4 MiB per shard.
const POOL_BUFFERS: usize = 64;

/// What the log knows of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Number of the message in its topic, or the last one that an announcement speaks of, where known.
    pub seq: Option<Seq>,
    /// The first number that an announcement speaks of.
    pub first: Option<Seq>,
    /// `false`: an announcement, not a message.
    pub message: bool,
    /// The concrete topic, in the log of a pattern.
    pub topic: Option<Arc<str>>,
    /// Second of arrival.
    pub second: u32,
    /// When the message was published, where known.
    pub published: Option<Stamp>,
}

#[derive(Debug)]
struct Frame {
    /// Offset of its end in the chunk.
    end: u32,
    mark: Mark,
}

/// Frames one behind the other, at most 64 KiB unless a single frame is larger.
#[derive(Debug)]
pub(super) struct Chunk {
    start: u64,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    /// The first frames once more, compressed; made when somebody is sent them so.
    packed: Packed,
}

/// Frames one behind the other, and the offset of each one's end.
#[derive(Debug, Default)]
struct Packed {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Chunk {
    pub(super) fn new(start: u64, pool: &mut Pool) -> Self {
        let (bytes, frames, packed) = pool.free.pop().unwrap_or_default();
        Self { start, bytes, frames, packed }
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes.len() + bytes <= CHUNK_BYTES
    }

    pub(super) fn push(&mut self, frame: &[u8], mark: Mark) {
        self.bytes.extend_from_slice(frame);
        let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.frames.push(Frame { end, mark });
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The bytes of this chunk within `[from, to)`.
    pub(super) fn slice(&self, from: u64, to: u64) -> &[u8] {
        &self.bytes[self.offset(from)..self.offset(to)]
    }

    pub(super) fn boundary(&self, position: u64) -> u64 {
        let offset = self.offset(position);
        if offset == 0 {
            return self.start;
        }
        let index = self.frames.partition_point(|frame| (frame.end as usize) < offset);
        self.frames.get(index).map_or(self.end(), |frame| self.start + u64::from(frame.end))
    }

    pub(super) fn messages(&self, from: u64, to: u64) -> impl Iterator<Item = &Mark> {
        self.range(from, to).iter().map(|frame| &frame.mark).filter(|mark| mark.message)
    }

    pub(super) fn sequences(&self, from: u64, to: u64) -> Option<(Seq, Seq)> {
        let numbers = |frame: &Frame| Some((frame.mark.first.or(frame.mark.seq)?, frame.mark.seq?));
        let frames = self.range(from, to);
        let mut known = frames.iter().filter_map(numbers);
        if frames.first().is_some_and(|frame| frame.mark.topic.is_some()) {
            // Topics of a pattern: what was late of one comes behind what was in time of another.
            return known.reduce(|whole, one| (whole.0.min(one.0), whole.1.max(one.1)));
        }
        let (first, last) = known.next()?;
        Some((first, known.next_back().map_or(last, |(_, last)| last)))
    }

    pub(super) fn frame(&self, position: u64) -> Option<(u64, Option<&Arc<str>>)> {
        let offset = self.offset(position);
        let index = self.frames.partition_point(|frame| (frame.end as usize) <= offset);
        let frame = self.frames.get(index)?;
        Some((self.start + u64::from(frame.end), frame.mark.topic.as_ref()))
    }

    /// Makes the compressed variant of the frames that begin before `to`, by `pack`, which appends that of one frame.
    pub(super) fn pack(&mut self, to: u64, pool: &mut Pool, mut pack: impl FnMut(&[u8], &mut Vec<u8>)) {
        let before = self.packed.bytes.len();
        while self.packed.ends.len() < self.frames.len() {
            let index = self.packed.ends.len();
            let start = self.frame_start(index);
            if start >= to {
                break;
            }
            let frame = &self.bytes[self.offset(start)..self.frames[index].end as usize];
            pack(frame, &mut self.packed.bytes);
            self.packed.ends.push(u32::try_from(self.packed.bytes.len()).unwrap_or(u32::MAX));
        }
        pool.kept((self.packed.bytes.len() - before) as u64);
    }

    /// The compressed variant, as far as it is made, of the frames within `[from, to)`, both at boundaries.
    pub(super) fn packed(&self, from: u64, to: u64) -> &[u8] {
        let at = |position| {
            let offset = self.offset(position);
            let index = self.frames.partition_point(|frame| (frame.end as usize) <= offset);
            index.checked_sub(1).map_or(0, |before| {
                self.packed.ends.get(before).map_or(self.packed.bytes.len(), |end| *end as usize)
            })
        };
        &self.packed.bytes[at(from)..at(to)]
    }

    /// The end of the frame in whose compressed variant the byte lies that is `sent` bytes behind the variant of `from`
    /// (a boundary), and what of it lies behind that byte. Where the byte is a frame's first: that frame's start, and
    /// nothing.
    pub(super) fn packed_at(&self, from: u64, sent: usize) -> (u64, &[u8]) {
        let offset = self.packed(self.start, from).len() + sent;
        let index = self.packed.ends.partition_point(|end| (*end as usize) < offset);
        let end = self.packed.ends.get(index).map_or(self.packed.bytes.len(), |end| *end as usize);
        if offset == self.packed(self.start, from).len() {
            return (from, &[]);
        }
        let position = self.frames.get(index).map_or(self.end(), |frame| self.start + u64::from(frame.end));
        (position, &self.packed.bytes[offset..end])
    }

    /// Bytes of the compressed variant.
    pub(super) fn packed_bytes(&self) -> u64 {
        self.packed.bytes.len() as u64
    }

    /// Start of the newest message in this chunk.
    pub(super) fn newest(&self) -> Option<u64> {
        let index = self.frames.iter().rposition(|frame| frame.mark.message)?;
        Some(self.frame_start(index))
    }

    /// Start of the last frame, message or not.
    pub(super) fn last_start(&self) -> u64 {
        self.frame_start(self.frames.len().saturating_sub(1))
    }

    /// Start of the first frame that arrived in this second or later.
    pub(super) fn first_younger(&self, second: u32) -> Option<u64> {
        let index = self.frames.partition_point(|frame| frame.mark.second < second);
        (index < self.frames.len()).then(|| self.frame_start(index))
    }

    /// Gives back memory where less than half is used.
    pub(super) fn settle(&mut self) {
        if self.bytes.capacity() > 2 * self.bytes.len() + 1024 {
            self.bytes.shrink_to_fit();
            self.frames.shrink_to_fit();
        }
        if self.packed.bytes.capacity() > 2 * self.packed.bytes.len() + 1024 {
            self.packed.bytes.shrink_to_fit();
            self.packed.ends.shrink_to_fit();
        }
    }

    fn frame_start(&self, index: usize) -> u64 {
        self.start + index.checked_sub(1).map_or(0, |before| u64::from(self.frames[before].end))
    }

    /// Frames that end within `(from, to]`.
    fn range(&self, from: u64, to: u64) -> &[Frame] {
        let (from, to) = (self.offset(from), self.offset(to));
        let first = self.frames.partition_point(|frame| (frame.end as usize) <= from);
        let last = self.frames.partition_point(|frame| (frame.end as usize) <= to);
        &self.frames[first..last]
    }

    fn offset(&self, position: u64) -> usize {
        usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.bytes.len())
    }
}

/// Buffers for chunks, used again by whichever log is filled next (at most 64 of at most 64 KiB, and as much again where
/// messages are compressed), and the sum of the bytes that all logs of a shard keep.
#[derive(Debug, Default)]
pub struct Pool {
    free: Vec<(Vec<u8>, Vec<Frame>, Packed)>,
    bytes: u64,
}

impl Pool {
    /// Bytes kept by all logs that use this pool.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn give(&mut self, mut chunk: Chunk) {
        self.released(chunk.packed_bytes());
        if self.free.len() < POOL_BUFFERS && chunk.bytes.capacity() <= 2 * CHUNK_BYTES {
            chunk.bytes.clear();
            chunk.frames.clear();
            chunk.packed.bytes.clear();
            chunk.packed.ends.clear();
            self.free.push((chunk.bytes, chunk.frames, chunk.packed));
        }
    }

    pub(super) fn kept(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    pub(super) fn released(&mut self, bytes: u64) {
        self.bytes -= bytes;
    }

    /// Gives the free buffers back to the system; for a shard that has been quiet.
    pub fn shrink(&mut self) {
        self.free = Vec::new();
    }
}
