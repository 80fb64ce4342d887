//! The fence around an author's code: a panic or a time-out ends the turn, nothing else.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
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

/// How far work came at once.
#[derive(Debug)]
pub enum Begun<T, W> {
    /// It is done, or broken.
    Ended(Result<T, Broken>),
    /// It waits for something; give it to [`fenced`].
    Waits(W),
}

/// Begins `work` where it stands: most of an author's code waits for nothing, and is done before it would have
/// been a task. A panic in it is caught. What waits is asked again by whoever goes on with it.
pub fn begun<T, W: Future<Output = T> + Unpin>(mut work: W) -> Begun<T, W> {
    let mut nobody = Context::from_waker(Waker::noop());
    match fenced_now(|| Pin::new(&mut work).poll(&mut nobody)) {
        Ok(Poll::Ready(done)) => Begun::Ended(Ok(done)),
        Ok(Poll::Pending) => Begun::Waits(work),
        Err(broken) => {
            // What a panic leaves behind is the author's too.
            let dropped = fenced_now(|| drop(work));
            Begun::Ended(Err(dropped.err().unwrap_or(broken)))
        }
    }
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

    #[tokio::test]
    async fn what_is_done_at_once_is_told_apart_from_what_waits_or_panics() {
        let ended = begun(Box::pin(async { 1 }));
        assert!(matches!(ended, Begun::Ended(Ok(1))));
        let broken = begun(Box::pin(async { panic!("ouch") }));
        assert!(matches!(
            broken,
            Begun::<(), _>::Ended(Err(Broken::Panicked(_)))
        ));
        let Begun::Waits(work) = begun(Box::pin(async {
            tokio::task::yield_now().await;
            2
        })) else {
            panic!("it yields once");
        };
        assert_eq!(fenced(Duration::from_secs(1), work).await, Ok(2));
    }

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
