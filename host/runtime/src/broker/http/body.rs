//! Bodies in both directions: counted, bounded in bytes and time, and scrubbed on the way back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::{Error, WasiBody};

use super::scrub::{Needles, Scrub};
use super::{Call, send};
use crate::broker::journal::Refused;

/// A request's body, up to its limit.
pub(super) struct BoundedBody {
    inner: WasiBody,
    call: Arc<Call>,
    left: u64,
}

impl BoundedBody {
    pub(super) fn new(inner: WasiBody, call: Arc<Call>) -> Self {
        let left = call.limits.request.0;
        Self { inner, call, left }
    }
}

impl Body for BoundedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                let limit = self.call.limits.request.0;
                return Poll::Ready(Some(Err(send::refuse(&self.call, Refused::RequestBody { limit }))));
            };
            self.left = left;
            self.call.journal.sent(data.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body, up to its limit and the end of its time, without the secret that was sent.
pub(super) struct ReplyBody {
    incoming: Option<Incoming>,
    call: Arc<Call>,
    left: u64,
    scrub: Option<(Scrub, Needles)>,
    trailers: Option<HeaderMap>,
    end: Instant,
    between: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl ReplyBody {
    pub(super) fn new(
        incoming: Incoming,
        call: Arc<Call>,
        needles: Option<Needles>,
        end: Instant,
        between: Duration,
    ) -> Self {
        let left = call.limits.response.0;
        let scrub = needles.map(|needles| (Scrub::new(needles.clone()), needles));
        let (trailers, timer) = (None, None);
        Self { incoming: Some(incoming), call, left, scrub, trailers, end, between, timer, waiting: false }
    }

    /// Nothing more comes after this.
    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.incoming = None;
        self.scrub = None;
        self.trailers = None;
        Poll::Ready(Some(Err(error)))
    }

    /// What may pass of a piece, if anything.
    fn data(&mut self, data: Bytes) -> Result<Option<Bytes>, Error> {
        let Some(left) = self.left.checked_sub(data.len() as u64) else {
            let limit = self.call.limits.response.0;
            return Err(send::refuse(&self.call, Refused::ResponseBody { limit }));
        };
        self.left = left;
        self.call.journal.received(data.len());
        let data = match &mut self.scrub {
            Some((scrub, _)) => scrub.chunk(&data),
            None => data,
        };
        Ok((!data.is_empty()).then_some(data))
    }

    /// Whether the time for the next piece is over.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if !self.waiting {
            self.waiting = true;
            let until =
                Instant::now().checked_add(self.between).map_or(self.end, |until| until.min(self.end));
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(sleep_until(until))),
            }
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
        }
        let total = Instant::now() >= self.end;
        Poll::Ready(if total { Error::HttpResponseTimeout } else { Error::ConnectionReadTimeout })
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        loop {
            let Some(incoming) = &mut this.incoming else {
                return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            };
            let frame = match Pin::new(incoming).poll_frame(cx) {
                Poll::Pending => {
                    let error = ready!(this.poll_time(cx));
                    return this.fail(error);
                }
                Poll::Ready(frame) => frame,
            };
            this.waiting = false;
            match frame {
                Some(Err(error)) => {
                    let error = send::wire(&this.call, &error);
                    return this.fail(error);
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => match this.data(data) {
                        Err(error) => return this.fail(error),
                        Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                        Ok(None) => {}
                    },
                    Err(other) => this.trailers = other.into_trailers().ok(),
                },
                None => {
                    this.incoming = None;
                    if let Some((mut scrub, needles)) = this.scrub.take() {
                        if let Some(trailers) = &mut this.trailers {
                            needles.clean_headers(trailers);
                        }
                        let held = scrub.end();
                        if !held.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(held))));
                        }
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.scrub.is_none()
            && self.trailers.is_none()
            && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }
}
