//! A wall around what the application wrote: no panic passes.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs something of the application's; a panic becomes its text.
///
/// What was being changed when it panicked is not looked at again: the caller
/// drops it, behind the same wall.
pub(super) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(panic_text)
}

/// What a panic said.
pub(crate) fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text".to_owned()
    };
    // What was thrown is the application's too, and may panic when dropped;
    // what that throws is kept for ever rather than dropped.
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(panic))) {
        let _kept = ManuallyDrop::new(second);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the bomb goes off");
        }
    }

    #[test]
    fn a_panic_becomes_its_text() {
        let number = 7;
        assert_eq!(guard(|| number), Ok(7));
        assert_eq!(guard(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        assert_eq!(guard(|| panic!("{number}")), Err::<(), _>("7".to_owned()));
    }

    #[test]
    fn what_was_thrown_may_panic_when_dropped() {
        let text = guard(|| std::panic::panic_any(Bomb));
        assert_eq!(text, Err::<(), _>("a panic without a text".to_owned()));
    }
}
