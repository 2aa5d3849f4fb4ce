//! The frames that wait to be written to one socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use smallvec::SmallVec;

use crate::protocol::frame::OutFrame;

/// Up to this many bytes are joined and written as one piece: copying them
/// costs less than a list of pieces does.
const JOIN_MAX: usize = 16 << 10;

/// Pieces in one vectored write.
const SLICES_MAX: usize = 64;

/// An empty outbox keeps room for this many frames.
const FRAMES_KEPT: usize = 16;

/// The bounds of an outbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) frames_max: usize,
    pub(crate) bytes_max: usize,
}

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Enough waits: the peer does not read.
    Full,
    /// The last frame was put before.
    Sealed,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing waits any more.
    Empty,
    /// The socket takes no more for now.
    Blocked,
}

/// A bounded queue of frames, written in order and whole.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: VecDeque<OutFrame>,
    /// Bytes of the first frame that are written.
    written: usize,
    bytes: usize,
    sealed: bool,
    /// Whether some frames may have been put beyond the bounds.
    has_beyond: bool,
}

impl Outbox {
    /// Puts a frame at the end. An empty outbox takes a frame of any size. What
    /// was put beyond the bounds counts only for what is put beyond them, too.
    pub(crate) fn push(&mut self, frame: OutFrame, bounds: Bounds) -> Result<(), NotTaken> {
        if self.sealed {
            return Err(NotTaken::Sealed);
        }
        let fits =
            |frames, bytes| frames < bounds.frames_max && bytes + frame.len() <= bounds.bytes_max;
        if !self.frames.is_empty() && !fits(self.frames.len(), self.bytes) {
            let (frames, bytes) = self.within();
            if frame.is_beyond() || !self.has_beyond || !fits(frames, bytes) {
                return Err(NotTaken::Full);
            }
        }
        self.append(frame);
        Ok(())
    }

    /// How many frames, and of how many bytes, were put within the bounds.
    fn within(&mut self) -> (usize, usize) {
        if !self.has_beyond {
            return (self.frames.len(), self.bytes);
        }
        let within = self.frames.iter().filter(|frame| !frame.is_beyond());
        let (frames, bytes) = within.fold((0, 0), |(frames, bytes), frame| {
            (frames + 1, bytes + frame.len())
        });
        self.has_beyond = frames < self.frames.len();
        (frames, bytes)
    }

    /// Puts the last frame at the end, whatever waits before it.
    pub(crate) fn push_last(&mut self, frame: OutFrame) {
        if !self.sealed {
            self.append(frame);
            self.sealed = true;
        }
    }

    /// Takes no more frames.
    pub(crate) fn seal(&mut self) {
        self.sealed = true;
    }

    /// Whether the last frame was put.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Throws away all that waits, but for the rest of a frame that has begun.
    pub(crate) fn discard(&mut self) {
        self.frames.truncate(usize::from(self.written > 0));
        self.bytes = self.frames.iter().map(OutFrame::len).sum();
    }

    /// Whether there are texts among what waits.
    pub(crate) fn has_texts(&self) -> bool {
        self.frames.iter().any(OutFrame::is_text)
    }

    /// Takes texts off the head, up to so many bytes and one at least, for a
    /// peer that reads no frames.
    pub(crate) fn take_texts(&mut self, bytes_max: usize) -> Vec<OutFrame> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(first) = self.frames.front() {
            let (len, is_text) = (first.len(), first.is_text());
            if is_text && bytes + len > bytes_max && !taken.is_empty() {
                break;
            }
            bytes += if is_text { len } else { 0 };
            self.bytes -= len;
            taken.extend(self.frames.pop_front().filter(|_| is_text));
        }
        taken
    }

    fn append(&mut self, frame: OutFrame) {
        self.bytes += frame.len();
        self.has_beyond |= frame.is_beyond();
        self.frames.push_back(frame);
    }

    /// Writes as much as `sink` takes. `scratch` is room to join frames in.
    pub(crate) fn write_to(
        &mut self,
        scratch: &mut Vec<u8>,
        mut sink: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Progress> {
        while !self.frames.is_empty() {
            let waiting = self.bytes - self.written;
            let written = if waiting <= JOIN_MAX {
                self.join(scratch);
                sink(&[IoSlice::new(scratch)])
            } else {
                sink(&self.slices())
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Progress::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.frames.capacity() > FRAMES_KEPT {
            self.frames = VecDeque::new();
        }
        Ok(Progress::Empty)
    }

    /// The pieces that are not written, in order.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut skip = self.written;
        self.frames
            .iter()
            .flat_map(|frame| [frame.header(), frame.payload()])
            .filter_map(move |piece| {
                let skipped = skip.min(piece.len());
                skip -= skipped;
                piece.get(skipped..).filter(|rest| !rest.is_empty())
            })
    }

    fn join(&self, scratch: &mut Vec<u8>) {
        scratch.clear();
        for piece in self.pieces() {
            scratch.extend_from_slice(piece);
        }
    }

    fn slices(&self) -> SmallVec<[IoSlice<'_>; SLICES_MAX]> {
        self.pieces().take(SLICES_MAX).map(IoSlice::new).collect()
    }

    fn advance(&mut self, written: usize) {
        self.written += written;
        while let Some(first) = self.frames.front().map(OutFrame::len) {
            if self.written < first {
                return;
            }
            self.written -= first;
            self.bytes -= first;
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_layer_core::Frame;

    const BOUNDS: Bounds = Bounds {
        frames_max: 4,
        bytes_max: 100,
    };

    fn frame(len: usize) -> OutFrame {
        OutFrame::data(&Frame::Bytes(vec![7; len].into()))
    }

    /// A socket that takes `step` bytes a write and `room` in all.
    fn write(outbox: &mut Outbox, step: usize, mut room: usize) -> (Vec<u8>, Progress) {
        let mut out = Vec::new();
        let progress = outbox.write_to(&mut Vec::new(), |slices| {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            let taken = all.len().min(step).min(room);
            if taken == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            room -= taken;
            out.extend_from_slice(&all[..taken]);
            Ok(taken)
        });
        (out, progress.unwrap())
    }

    #[test]
    fn it_is_bounded_by_bytes_and_frames_but_takes_one_of_any_size() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(frame(1000), BOUNDS), Ok(()));
        assert_eq!(outbox.push(frame(1), BOUNDS), Err(NotTaken::Full));
        assert_eq!(write(&mut outbox, 10_000, 10_000).1, Progress::Empty);
        for _ in 0..4 {
            assert_eq!(outbox.push(frame(1), BOUNDS), Ok(()));
        }
        assert_eq!(outbox.push(frame(1), BOUNDS), Err(NotTaken::Full));
        outbox.push_last(frame(1));
        assert_eq!(outbox.push(frame(1), BOUNDS), Err(NotTaken::Sealed));
    }

    #[test]
    fn what_was_put_beyond_the_bounds_takes_no_room_from_what_follows() {
        let mut outbox = Outbox::default();
        let wide = Bounds {
            frames_max: 6,
            bytes_max: 300,
        };
        for _ in 0..2 {
            assert_eq!(outbox.push(frame(90).beyond(), wide), Ok(()));
        }
        assert_eq!(outbox.push(frame(90), BOUNDS), Ok(()));
        assert_eq!(outbox.push(frame(90), BOUNDS), Err(NotTaken::Full));
        // For these all that waits counts.
        assert_eq!(outbox.push(frame(90).beyond(), wide), Err(NotTaken::Full));
        let taken = outbox.take_texts(0);
        assert!(taken.is_empty(), "none is a text");
        assert_eq!(outbox.push(frame(90), BOUNDS), Ok(()));
        assert_eq!(outbox.push(frame(90).beyond(), wide), Ok(()));
        assert_eq!(outbox.push(frame(90), BOUNDS), Err(NotTaken::Full));
        write(&mut outbox, 100, 92);
        assert_eq!(outbox.push(frame(2).beyond(), BOUNDS), Ok(()));
        write(&mut outbox, 100, 90);
        outbox.discard();
        assert!(!outbox.is_empty(), "a frame has begun");
        write(&mut outbox, 100, 100);
        assert_eq!(outbox.within(), (0, 0));
    }

    #[test]
    fn frames_leave_in_order_and_whole_whatever_a_write_takes() {
        let wide = Bounds {
            frames_max: 100,
            bytes_max: 1 << 20,
        };
        for step in [1, 7, 300, 1 << 20] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for len in [0, 1, 200, 20_000, 3] {
                let frame = frame(len);
                expected.extend_from_slice(frame.header());
                expected.extend_from_slice(frame.payload());
                outbox.push(frame, wide).unwrap();
            }
            let (mut out, progress) = write(&mut outbox, step, 150);
            assert_eq!(progress, Progress::Blocked);
            let (rest, progress) = write(&mut outbox, step, 1 << 20);
            assert_eq!(progress, Progress::Empty);
            out.extend_from_slice(&rest);
            assert!(out == expected, "step {step}");
            assert_eq!((outbox.bytes, outbox.written), (0, 0));
        }
    }

    #[test]
    fn a_frame_that_has_begun_is_not_discarded() {
        let mut outbox = Outbox::default();
        outbox.push(frame(10), BOUNDS).unwrap();
        outbox.push(frame(10), BOUNDS).unwrap();
        write(&mut outbox, 5, 5);
        outbox.discard();
        outbox.push_last(OutFrame::ping());
        let (out, _) = write(&mut outbox, 100, 100);
        assert_eq!(out.len(), 12 - 5 + 2);
        outbox.discard();
        assert!(outbox.is_empty());
    }
}
