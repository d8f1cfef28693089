//! Harmless files of several kinds, made on the spot: headers without code, and text.

use std::io::{Cursor, Write as _};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Name and content of each; `mark` makes them differ from those of another run.
pub(crate) fn all(mark: &str) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    Ok(vec![
        ("hello.elf", marked(elf(), mark)),
        ("setup.exe", marked(pe(), mark)),
        ("archive.zip", zip(mark)?),
        ("logon.vbs", format!("' {mark}\r\nWScript.Echo \"hello\"\r\n").into_bytes()),
        (
            "paper.pdf",
            format!("%PDF-1.4\n% {mark}\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n").into_bytes(),
        ),
        ("notes.txt", format!("Just a few words, nothing more. {mark}\n").into_bytes()),
    ])
}

/// What follows the header changes nothing about what the file is.
fn marked(mut file: Vec<u8>, mark: &str) -> Vec<u8> {
    file.extend_from_slice(b"\0demonstration file of the playground, run ");
    file.extend_from_slice(mark.as_bytes());
    file.push(0);
    file
}

/// The header of a 64-bit Linux program, little endian, with one program header and eight times "do nothing".
fn elf() -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\x03".to_vec();
    file.extend([0; 8]);
    // Executable, x86-64, version 1.
    file.extend([2, 0, 0x3e, 0, 1, 0, 0, 0]);
    for word in [0x40_0078_u64, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // Load, readable and executable.
    file.extend(1_u32.to_le_bytes());
    file.extend(5_u32.to_le_bytes());
    for word in [0_u64, 0x40_0000, 0x40_0000, 0x80, 0x80, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0x90; 8]);
    file
}

/// The headers of a 32-bit Windows program with a window, and no sections.
fn pe() -> Vec<u8> {
    let mut file = vec![0; 1024];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &[0x80]);
    put(0x80, b"PE\0\0");
    put(0x84, &0x14c_u16.to_le_bytes());
    put(0x94, &0xe0_u16.to_le_bytes());
    put(0x96, &0x102_u16.to_le_bytes());
    put(0x98, &0x10b_u16.to_le_bytes());
    put(0xdc, &2_u16.to_le_bytes());
    file
}

fn zip(mark: &str) -> anyhow::Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("readme.txt", SimpleFileOptions::default())?;
    write!(writer, "nothing to see here ({mark})")?;
    Ok(writer.finish()?.into_inner())
}
