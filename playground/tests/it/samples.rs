//! Files of each kind that the walk-through uploads; harmless, made when they are needed.

use std::io::Write;
use std::path::Path;

/// Writes the samples into a folder and gives their names.
pub fn write(folder: &Path) -> Vec<String> {
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("hello.elf", elf()),
        ("setup.exe", pe()),
        ("archive.zip", zip()),
        ("paper.pdf", b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n".to_vec()),
        ("picture.png", png()),
        ("logon.vbs", b"WScript.Echo \"hello\"\r\n".to_vec()),
        ("notes.txt", b"just a few words, nothing more\n".to_vec()),
        ("noise.bin", noise(4096)),
    ];
    for (name, content) in &files {
        std::fs::write(folder.join(name), content).unwrap();
    }
    files.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// Bytes without any structure, the same each time.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3] | 0x80
    };
    (0..length).map(|_| next()).collect()
}

/// A 64-bit ELF header for Linux, little endian, with one program header.
pub fn elf() -> Vec<u8> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([2, 0, 0x3e, 0, 1, 0, 0, 0]);
    file.extend(0x40_0078_u64.to_le_bytes());
    file.extend(64_u64.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    file.extend(5_u32.to_le_bytes());
    for word in [0_u64, 0x40_0000, 0x40_0000, 0x80, 0x80, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0x90; 8]);
    file
}

/// A 32-bit PE header of a program with a window.
fn pe() -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[..2].copy_from_slice(b"MZ");
    file[0x3c] = 0x80;
    file[0x80..0x84].copy_from_slice(b"PE\0\0");
    file[0x84..0x86].copy_from_slice(&0x14c_u16.to_le_bytes());
    file[0x94..0x96].copy_from_slice(&0xe0_u16.to_le_bytes());
    file[0x96..0x98].copy_from_slice(&0x102_u16.to_le_bytes());
    file[0x98..0x9a].copy_from_slice(&0x10b_u16.to_le_bytes());
    file[0xdc..0xde].copy_from_slice(&2_u16.to_le_bytes());
    file
}

fn zip() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("readme.txt", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(b"nothing to see").unwrap();
    writer.finish().unwrap().into_inner()
}

/// The smallest complete picture: one grey pixel.
fn png() -> Vec<u8> {
    let chunk = |kind: &[u8], body: &[u8]| {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(kind);
        hasher.update(body);
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[..], kind, body, &hasher.finalize().to_be_bytes()].concat()
    };
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0];
    let data = [0x78, 0x9c, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &data), chunk(b"IEND", &[])].concat()
}
