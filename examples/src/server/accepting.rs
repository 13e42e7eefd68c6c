//! A connection whose reader must accept what is written: one that does not is cut, with whatever it held.
//!
//! # Guarantees
//! * From the first write that finds no room, the reader has so long to make some; any byte it accepts begins anew.
//! * Reading is not timed here: that is the head's and the body's time limit.
//!
//! # Caveats
//! What the network's buffers take counts as accepted, here and at the reader's machine. So a silent reader of small
//! events is found out only when they are full; its stream ends by its own time limit before.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use infra_core::words::clock::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A stream with a bound on how long a write may find no room.
pub(super) struct Accepting<S> {
    inner: S,
    within: Duration,
    clock: Arc<dyn Clock>,
    /// Runs while a write finds no room.
    stuck: Option<Sleep>,
}

impl<S> Accepting<S> {
    pub(super) fn new(inner: S, within: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { inner, within, clock, stuck: None }
    }

    /// Passes on what a write came to; one that waits too long is an error.
    fn timed<T>(&mut self, cx: &mut Context<'_>, came: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if came.is_ready() {
            self.stuck = None;
            return came;
        }
        let (clock, within) = (&self.clock, self.within);
        let stuck = self.stuck.get_or_insert_with(|| {
            let clock = Arc::clone(clock);
            Box::pin(async move { clock.sleep(within).await })
        });
        ready!(stuck.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the reader accepts nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Accepting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Accepting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let came = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.timed(cx, came)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let came = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.timed(cx, came)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let came = Pin::new(&mut self.inner).poll_flush(cx);
        self.timed(cx, came)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let came = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.timed(cx, came)
    }
}

#[cfg(test)]
mod tests {
    use infra_core::words::clock::SystemClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_reader_that_accepts_nothing_holds_its_connection() {
        let (mut reader, writer) = tokio::io::duplex(8);
        let mut writer = Accepting::new(writer, Duration::from_millis(50), Arc::new(SystemClock));
        writer.write_all(b"eight by").await.expect("there is room");
        let cut = writer.write_all(b"tes").await.expect_err("nobody reads");
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
        let mut some = [0; 8];
        reader.read_exact(&mut some).await.expect("it was written");
        writer.write_all(b"again").await.expect("there is room again");
    }

    #[tokio::test]
    async fn a_slow_reader_is_cut_like_one_that_accepts_nothing() {
        let (mut reader, writer) = tokio::io::duplex(1);
        let mut writer = Accepting::new(writer, Duration::from_millis(200), Arc::new(SystemClock));
        let slow = async {
            for _ in 0..10 {
                SystemClock.sleep(Duration::from_millis(50)).await;
                reader.read_u8().await.expect("it was written");
            }
        };
        let (written, ()) = tokio::join!(writer.write_all(&[7; 10]), slow);
        written.expect("half a second in all, but never long without a byte");
    }
}
