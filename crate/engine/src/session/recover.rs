//! A lost device: the session is made again on another one, once a request, and the request goes on there.

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::session::Session;

/// Makes a session again whose device was lost. The engine has neither files nor a choice of devices.
#[async_trait(?Send)]
pub trait Recover {
    /// A session on the same model, on a device that works; `lost` is what became of the other.
    async fn session(&self, lost: &Error) -> Result<Session>;
}

impl Session {
    /// Does `work`. Where that loses the device and there is a recovery, does it once more on another one, whose cache is
    /// empty: it is for `work` to remember what is done. A session that stays lost is made again by the next request.
    pub(super) async fn persist<T>(&mut self, mut work: impl AsyncFnMut(&mut Session) -> Result<T>) -> Result<T> {
        let mut again = false;
        loop {
            match work(self).await {
                Err(lost @ Error::Lost(_)) if !again => self.rebuild(lost).await?,
                done => return done,
            }
            again = true;
        }
    }

    async fn rebuild(&mut self, lost: Error) -> Result<()> {
        let Some(recovery) = self.recovery.clone() else { return Err(lost) };
        let Session { model, rig, .. } = recovery.session(&lost).await?;
        if model.spec != self.model.spec || model.context != self.model.context {
            return Err(Error::Lost("and the model is another one now".into()));
        }
        self.most_ahead = self.most_ahead.min(model.device.limits().ahead);
        (self.model, self.rig) = (model, rig);
        self.reset();
        Ok(())
    }
}
