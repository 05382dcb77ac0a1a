//! Regular files of a bounded size.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;
use std::time::{Duration, Instant};

/// Opens a regular file for reading.
///
/// # Errors
/// Those of [`File::open`]; [`ErrorKind::InvalidInput`] for a directory, a pipe, a socket or a
/// device, which is detected without waiting for a writer.
pub fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Without it, opening a pipe waits for a writer. It has no effect on regular files.
        options.custom_flags(libc::O_NONBLOCK);
    }
    // A socket cannot be opened at all, and its error says nothing of that.
    if let Ok(metadata) = path.metadata() {
        regular(metadata.file_type())?;
    }
    let file = options.open(path)?;
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// The contents of a regular file of at most `most` bytes.
///
/// # Errors
/// Those of [`open`]; [`ErrorKind::InvalidData`] if the file is larger.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let larger = |length: u64| {
        let says = format!("has {length} bytes, where at most {most} are read");
        Error::new(ErrorKind::InvalidData, says)
    };
    if length > most {
        return Err(larger(length));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // The file may grow while it is read.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(larger(bytes.len() as u64)) } else { Ok(bytes) }
}

/// The contents of a regular UTF-8 file of at most `most` bytes.
///
/// # Errors
/// Those of [`read`]; [`ErrorKind::InvalidData`] if the contents are not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read(path, most)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(ErrorKind::InvalidData, format!("is not UTF-8 at byte {at}"))
    })
}

/// The contents of a file, or of a pipe that has a writer, of at most `most` bytes. So
/// `/dev/stdin` and what a shell puts in the place of `<(COMMAND)` can be read.
///
/// # Errors
/// Those of [`read`], and [`ErrorKind::TimedOut`] for a pipe that nothing comes through for a
/// minute.
pub fn read_input(path: &Path, most: u64) -> Result<Vec<u8>> {
    match path.metadata() {
        Ok(metadata) if is_pipe(metadata.file_type()) => read_pipe(path, most, PATIENCE),
        _ => read(path, most),
    }
}

/// How long a reader waits for more from a pipe.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(unix)]
fn read_pipe(path: &Path, most: u64, patience: Duration) -> Result<Vec<u8>> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut pipe = file.take(most.saturating_add(1));
    let mut bytes = Vec::new();
    let mut last = Instant::now();
    loop {
        let before = bytes.len();
        // What was read before an error is kept.
        match pipe.read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 > most => {
                let says = format!("more than {most} bytes come through the pipe");
                return Err(Error::new(ErrorKind::InvalidData, says));
            }
            Ok(_) if bytes.is_empty() => {
                let says = "nothing comes through the pipe; is a program writing to it?";
                return Err(Error::new(ErrorKind::InvalidInput, says));
            }
            Ok(_) => return Ok(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if bytes.len() > before {
            last = Instant::now();
        } else if last.elapsed() > patience {
            let says = format!("nothing came through the pipe for {} s", patience.as_secs());
            return Err(Error::new(ErrorKind::TimedOut, says));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(not(unix))]
fn read_pipe(path: &Path, most: u64, _patience: Duration) -> Result<Vec<u8>> {
    read(path, most)
}

#[cfg(unix)]
fn is_pipe(kind: std::fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind)
}

#[cfg(not(unix))]
fn is_pipe(_kind: std::fs::FileType) -> bool {
    false
}

fn regular(kind: std::fs::FileType) -> Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() { "a directory" } else { special(kind) };
    Err(Error::new(ErrorKind::InvalidInput, format!("is {what}, not a file")))
}

#[cfg(unix)]
fn special(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special(_kind: std::fs::FileType) -> &'static str {
    "a device"
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_up_to_the_limit_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        assert_eq!(read_text(&path, 9).unwrap(), "four");
        let error = read(&path, 3).unwrap_err();
        assert_eq!(error.to_string(), "has 4 bytes, where at most 3 are read");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert_eq!(read_text(&path, 9).unwrap_err().to_string(), "is not UTF-8 at byte 2");
        let missing = read(&directory.path().join("none"), 3).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let says = |path: &Path| read(path, u64::MAX).unwrap_err().to_string();
        assert_eq!(says(directory.path()), "is a directory, not a file");
        assert_eq!(says(Path::new("/dev/zero")), "is a device, not a file");
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(says(&socket), "is a socket, not a file");
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(says(&pipe), "is a pipe, not a file");
    }

    #[cfg(unix)]
    #[test]
    fn pipes_are_read_where_somebody_writes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let says = |most| read_input(&path, most).unwrap_err().to_string();
        assert_eq!(says(9), "nothing comes through the pipe; is a program writing to it?");
        // Opened for reading as well, so that opening it does not wait for a reader.
        let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut writer = open();
        writer.write_all(b"four").unwrap();
        let silent = read_pipe(&path, 9, Duration::from_millis(50)).unwrap_err();
        assert_eq!(silent.kind(), ErrorKind::TimedOut);
        writer.write_all(b"fives").unwrap();
        assert_eq!(says(4), "more than 4 bytes come through the pipe");
        writer.write_all(b"six").unwrap();
        let later = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            writer.write_all(b"seven").unwrap();
        });
        assert_eq!(read_input(&path, 99).unwrap(), b"sixseven");
        later.join().unwrap();
        std::fs::write(directory.path().join("file"), "text").unwrap();
        assert_eq!(read_input(&directory.path().join("file"), 9).unwrap(), b"text");
    }
}
