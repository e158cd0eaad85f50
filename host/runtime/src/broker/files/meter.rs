//! Keeps a guest's writes within the [`Room`] of its call. wasmtime's own functions of `wasi:filesystem` do the work; those
//! that make a tree longer or fuller are defined here over them, and count first. Past the limit a guest gets `quota`,
//! as from a file system that has one, and never a trap. What only reads, shrinks or removes is not touched, and a guest
//! without a directory for writing goes straight through.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, Host as _, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::pipe::ClosedOutputStream;
use wasmtime_wasi::p2::{
    DynOutputStream, FsError, FsResult, OutputStream, Pollable, StreamError, StreamResult,
};

use super::room::{Room, Taken};
use crate::broker::journal::{Journal, Refused};

/// The version wasmtime-wasi 48 links; the linker matches other 0.2 versions to it.
const INTERFACE: &str = "wasi:filesystem/types@0.2.12";

type Fd = Resource<Descriptor>;

/// What the functions need of a store's data.
pub struct RoomView<'a> {
    /// wasmtime's own half, with the guest's resources.
    pub files: WasiFilesystemCtxView<'a>,
    /// What the call may add, when it may write anywhere.
    pub room: Option<Arc<Room>>,
    /// Where a refusal is written down.
    pub journal: Arc<Journal>,
}

/// Defines the functions that add to a tree, over wasmtime's own, which they call.
pub fn add_room_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> RoomView<'_>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let defined = define(linker, view);
    linker.allow_shadowing(false);
    defined
}

fn define<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> RoomView<'_>,
) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    macro_rules! method {
        ($name:literal, $call:ident($($argument:ident: $type:ty),*)) => {
            instance.func_wrap_async(
                concat!("[method]descriptor.", $name),
                move |mut store: StoreContextMut<'_, T>, (fd, $($argument,)*): (Fd, $($type,)*)| {
                    Box::new(async move {
                        let mut view = view(store.data_mut());
                        answer(view.$call(fd, $($argument),*).await)
                    })
                },
            )?;
        };
    }
    method!("write", write(bytes: Vec<u8>, offset: u64));
    method!("write-via-stream", write_via_stream(offset: u64));
    method!("append-via-stream", append_via_stream());
    method!("set-size", set_size(size: u64));
    method!("open-at", open_at(follow: PathFlags, path: String, open: OpenFlags, flags: DescriptorFlags));
    method!("create-directory-at", create_directory_at(path: String));
    method!("symlink-at", symlink_at(to: String, path: String));
    method!("link-at", link_at(follow: PathFlags, path: String, other: Fd, to: String));
    instance.func_wrap(
        "filesystem-error-code",
        move |mut store: StoreContextMut<'_, T>, (error,): (Resource<wasmtime::Error>,)| {
            Ok((view(store.data_mut()).error_code(error)?,))
        },
    )
}

/// As the interface has it: an error is a value, everything else is a trap.
fn answer<R>(done: FsResult<R>) -> wasmtime::Result<(Result<R, ErrorCode>,)> {
    match done {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// What the stream of a file failed with, for whoever asks for its number.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Full(Refused);

impl RoomView<'_> {
    /// The room of whatever lies below a directory for writing; nothing else is counted.
    fn room(&self, fd: &Fd) -> FsResult<Option<Arc<Room>>> {
        let Some(room) = &self.room else { return Ok(None) };
        let perms = match self.files.table.get(fd)? {
            Descriptor::File(file) => file.perms,
            Descriptor::Dir(dir) => dir.perms,
        };
        Ok((perms == FsPerms::ReadWrite).then(|| Arc::clone(room)))
    }

    fn taken(&self, taken: Result<Taken, Refused>) -> FsResult<Taken> {
        taken.map_err(|refused| {
            self.journal.refuse(refused);
            ErrorCode::Quota.into()
        })
    }

    async fn size(&mut self, fd: &Fd) -> FsResult<u64> {
        Ok(self.files.stat(again(fd)).await?.size)
    }

    async fn write(&mut self, fd: Fd, bytes: Vec<u8>, offset: u64) -> FsResult<u64> {
        let Some(room) = self.room(&fd)? else { return self.files.write(fd, bytes, offset).await };
        let size = self.size(&fd).await?;
        let taken = self.taken(room.grow(growth(size, offset, bytes.len())))?;
        done(self.files.write(fd, bytes, offset).await, &room, taken)
    }

    async fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        let Some(room) = self.room(&fd)? else { return self.files.set_size(fd, size).await };
        let before = self.size(&fd).await?;
        let taken = self.taken(room.grow(size.saturating_sub(before)))?;
        done(self.files.set_size(fd, size).await, &room, taken)
    }

    async fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        let Some(room) = self.room(&fd)? else { return self.files.write_via_stream(fd, offset) };
        // Who makes the file shorter later is given nothing back for it: the length it had is counted either way.
        let size = self.size(&fd).await?;
        let stream = self.files.write_via_stream(fd, offset)?;
        self.counted(stream, room, Some(Position { offset, size }))
    }

    async fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let room = self.room(&fd)?;
        let stream = self.files.append_via_stream(fd)?;
        match room {
            Some(room) => self.counted(stream, room, None),
            None => Ok(stream),
        }
    }

    fn counted(
        &mut self,
        stream: Resource<DynOutputStream>,
        room: Arc<Room>,
        position: Option<Position>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let slot = self.files.table.get_mut(&stream)?;
        let inner = std::mem::replace(slot, Box::new(ClosedOutputStream));
        *slot = Box::new(Counted { inner, position, room, journal: Arc::clone(&self.journal) });
        Ok(stream)
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let room = self.room(&fd)?.filter(|_| open.contains(OpenFlags::CREATE));
        let Some(room) = room else { return self.files.open_at(fd, follow, path, open, flags).await };
        if !open.intersects(OpenFlags::EXCLUSIVE | OpenFlags::DIRECTORY) {
            // What is there already is no new name. `create` means `write` to wasmtime.
            let read =
                if flags.contains(DescriptorFlags::WRITE) { flags } else { flags | DescriptorFlags::READ };
            let known = (open & !OpenFlags::CREATE, read | DescriptorFlags::WRITE);
            match self.files.open_at(again(&fd), follow, path.clone(), known.0, known.1).await {
                Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NoEntry)) => {}
                found => return found,
            }
        }
        let taken = self.taken(room.name())?;
        done(self.files.open_at(fd, follow, path, open, flags).await, &room, taken)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let Some(room) = self.room(&fd)? else { return self.files.create_directory_at(fd, path).await };
        let taken = self.taken(room.name())?;
        done(self.files.create_directory_at(fd, path).await, &room, taken)
    }

    async fn symlink_at(&mut self, fd: Fd, to: String, path: String) -> FsResult<()> {
        let Some(room) = self.room(&fd)? else { return self.files.symlink_at(fd, to, path).await };
        let taken = self.taken(room.name())?;
        done(self.files.symlink_at(fd, to, path).await, &room, taken)
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        follow: PathFlags,
        path: String,
        other: Fd,
        to: String,
    ) -> FsResult<()> {
        let Some(room) = self.room(&other)? else {
            return self.files.link_at(fd, follow, path, other, to).await;
        };
        let taken = self.taken(room.name())?;
        done(self.files.link_at(fd, follow, path, other, to).await, &room, taken)
    }

    fn error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        if self.files.table.get(&error)?.downcast_ref::<Full>().is_some() {
            return Ok(Some(ErrorCode::Quota));
        }
        self.files.filesystem_error_code(error)
    }
}

/// The same descriptor for one more call.
fn again(fd: &Fd) -> Fd {
    Resource::new_borrow(fd.rep())
}

/// How much longer a file of this size becomes.
const fn growth(size: u64, offset: u64, bytes: usize) -> u64 {
    if bytes == 0 { 0 } else { offset.saturating_add(bytes as u64).saturating_sub(size) }
}

/// What was done, or what was taken for it given back.
fn done<R>(done: FsResult<R>, room: &Room, taken: Taken) -> Result<R, FsError> {
    if done.is_err() {
        room.give_back(taken);
    }
    done
}

/// Where a stream writes next, and how long its file is known to be.
#[derive(Debug, Clone, Copy)]
struct Position {
    offset: u64,
    size: u64,
}

/// A stream into a file, which counts.
struct Counted {
    inner: DynOutputStream,
    /// Nowhere: it appends.
    position: Option<Position>,
    room: Arc<Room>,
    journal: Arc<Journal>,
}

impl Counted {
    /// Counts what is about to be written. A stream that has failed is closed.
    fn count(&mut self, bytes: usize) -> StreamResult<()> {
        let growth = match self.position {
            Some(Position { offset, size }) => growth(size, offset, bytes),
            None => bytes as u64,
        };
        if let Err(refused) = self.room.grow(growth) {
            self.inner = Box::new(ClosedOutputStream);
            self.journal.refuse(refused.clone());
            return Err(StreamError::LastOperationFailed(Full(refused).into()));
        }
        if let Some(Position { offset, size }) = &mut self.position {
            *offset = offset.saturating_add(bytes as u64);
            *size = (*size).saturating_add(growth);
        }
        Ok(())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Counted {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Counted {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.count(bytes.len())?;
        self.inner.write(bytes)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.count(bytes.len())?;
        self.inner.blocking_write_and_flush(bytes).await
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}
