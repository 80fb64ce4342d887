//! The fence around an author's code: a panic or a time-out ends the turn, nothing else.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

/// How fenced code ended when it did not end by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It panicked, with this text.
    #[error("panicked: {0}")]
    Panicked(String),
    /// It took longer than it may.
    #[error("took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
}

/// Runs `work` for at most `within`; a panic in it is caught.
///
/// # Errors
/// [`Broken`], after which `work` has been dropped.
pub async fn fenced<T>(within: Duration, work: impl Future<Output = T>) -> Result<T, Broken> {
    // What a panic leaves behind is dropped: the caller rebuilds from what was committed.
    let caught = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout(within, caught).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(panic)) => Err(Broken::Panicked(text_of(panic.as_ref()))),
        Err(_) => Err(Broken::TimedOut(within)),
    }
}

/// Runs what an author wrote and can't be awaited; a panic in it is caught.
///
/// # Errors
/// [`Broken::Panicked`].
pub fn fenced_now<T>(work: impl FnOnce() -> T) -> Result<T, Broken> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| Broken::Panicked(text_of(panic.as_ref())))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(no text)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_and_a_time_out_are_told_apart() {
        let within = Duration::from_secs(1);
        assert_eq!(fenced(within, async { 1 }).await, Ok(1));
        let panicked = fenced(within, async { panic!("ouch {}", 1) }).await;
        assert_eq!(panicked, Err::<(), _>(Broken::Panicked("ouch 1".into())));
        let late = fenced(within, std::future::pending::<()>()).await;
        assert_eq!(late, Err(Broken::TimedOut(within)));
    }
}
