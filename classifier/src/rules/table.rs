//! The decision list itself, in order.
//!
//! To add a file type, put a line where it belongs: before every line that would also hold for it. The parts
//! of a line are its label, its tests (all must hold), and the kind, platform and extension of the result.

use super::{
    Dump, Extension,
    Extension::{Is, OfName},
    Rule, Script, Test,
    Test::{Ends, Has, Koly, Mime, Named, NamedLike, Starts, ZipHas, ZipHasMacApp, ZipHasPrefix, ZipIsXapk},
};

const fn rule(
    label: &'static str,
    when: &'static [Test],
    kind: &'static str,
    platform: Option<&'static str>,
    extension: Extension,
) -> Rule {
    Rule { label, when, kind, platform, extension, mime: None }
}

impl Rule {
    const fn with_mime(self, mime: &'static str) -> Self {
        Self { mime: Some(mime), ..self }
    }
}

const ZIP: Test = Starts(&["Zip archive data"]);
/// How libmagic may describe an archive of Java or Android.
const JAVA: Test = Starts(&["Zip archive data", "Java archive data (JAR)", "Android package (APK)"]);
const PE: Test = Starts(&["PE32", "MS-DOS executable PE32"]);
const PE64: Test = Starts(&["PE32+"]);
const DLL: Test = Has(&["(DLL)"]);
const ELF: Test = Starts(&["ELF"]);
/// Old Office documents and installers.
const CDF: Test = Starts(&["Composite Document File"]);
const OOXML: Test = Starts(&["Microsoft OOXML"]);
const OFFICE_NAMES: Test = NamedLike(&["doc", "xls", "ppt"]);
const IMAGE_NAMES: Test = Named(&["gif", "jpg", "png", "webp"]);
const WINDOWS_SCRIPT_NAMES: Test = Named(&["vbs", "vbe", "js", "jse", "wsh", "wsf", "hta", "cmd", "bat", "ps1"]);
const SCRIPT_NAMES: Test = Named(&["php", "pl", "py", "rb", "scpt", "sh"]);
const ARCHIVE_NAMES: Test =
    Named(&["7z", "ace", "arc", "arj", "bz2", "cab", "cpio", "gz", "iso", "lz", "lzh", "rar", "tar", "udf", "xz", "zip", "zlib"]);

const WINDOWS: Option<&str> = Some("win32");
const ANDROID: Option<&str> = Some("android");
const MACOS: Option<&str> = Some("macos");
const NONE: Extension = Extension::None;

#[rustfmt::skip]
pub(super) static RULES: &[Rule] = &[
    // Programs
    rule("pe", &[PE64, DLL], "runnable", Some("win64"), Is("dll")),
    rule("pe", &[PE64], "runnable", Some("win64"), Is("exe")),
    rule("pe", &[PE, DLL], "runnable", WINDOWS, Is("dll")),
    rule("pe", &[PE], "runnable", WINDOWS, Is("exe")),
    rule("com", &[Starts(&["COM executable for DOS"])], "runnable", WINDOWS, Is("com")),
    rule("mbr", &[Starts(&["DOS/MBR boot sector"])], "runnable", None, Is("mbr")),
    rule("apk-ext", &[JAVA, Named(&["apk"])], "runnable", ANDROID, Is("apk")),
    rule("apk-zip", &[JAVA, ZipHas("AndroidManifest.xml")], "runnable", ANDROID, Is("apk")),
    // Java runs anywhere; Windows is where it is meant to be looked at.
    rule("jar-ext", &[JAVA, Named(&["jar"])], "runnable", WINDOWS, Is("jar")),
    rule("jar-zip", &[JAVA, ZipHas("META-INF/MANIFEST.MF")], "runnable", WINDOWS, Is("jar")),
    rule("xapk-ext", &[JAVA, Named(&["xapk"])], "runnable", ANDROID, Is("xapk")),
    rule("xapk-zip", &[JAVA, ZipIsXapk], "runnable", ANDROID, Is("xapk")),
    rule("dex-magic", &[Starts(&["Dalvik dex file"])], "runnable", ANDROID, Is("dex")),
    rule("dex-ext", &[Named(&["dex"])], "runnable", ANDROID, Is("dex")),
    rule("swf-magic", &[Starts(&["Macromedia Flash"])], "runnable", WINDOWS, Is("swf")),
    rule("swf-ext", &[Named(&["swf"])], "runnable", WINDOWS, Is("swf")),
    rule("lnk-magic", &[Starts(&["MS Windows shortcut"])], "runnable", WINDOWS, Is("lnk")),
    rule("lnk-ext", &[Named(&["lnk"])], "runnable", WINDOWS, Is("lnk")),
    rule("chm-magic", &[Starts(&["MS Windows HtmlHelp Data"])], "runnable", WINDOWS, Is("chm")),
    rule("chm-ext", &[Named(&["chm"])], "runnable", WINDOWS, Is("chm")),
    rule("elf-linux", &[ELF, Has(&["(GNU/Linux)"])], "runnable", Some("linux"), Is("elf")),
    rule("elf-freebsd", &[ELF, Has(&["(FreeBSD)"])], "runnable", Some("freebsd"), Is("elf")),
    rule("elf-netbsd", &[ELF, Has(&["(NetBSD)"])], "runnable", Some("netbsd"), Is("elf")),
    // Most Linux programs say SYSV too; pipelines route by this answer.
    rule("elf-openbsd", &[ELF, Has(&["(SYSV)"])], "runnable", Some("openbsd"), Is("elf")),
    rule("elf-solaris", &[ELF, Has(&["(Solaris)"])], "runnable", Some("solaris"), Is("elf")),
    rule("elf-none", &[ELF], "runnable", None, Is("elf")),
    rule("xcoff", &[Starts(&["64-bit XCOFF"])], "runnable", Some("aix"), Is("xcoff")),
    rule("pkg-magic", &[Starts(&["xar archive"])], "runnable", MACOS, Is("pkg")),
    rule("pkg-ext", &[Named(&["pkg"])], "runnable", MACOS, Is("pkg")),
    rule("dmg-ext", &[Named(&["dmg"])], "runnable", MACOS, Is("dmg")),
    rule("dmg-koly", &[Koly], "runnable", MACOS, Is("dmg")),
    rule("macho", &[Starts(&["Mach-O"])], "runnable", MACOS, NONE),
    rule("macapp", &[ZIP, ZipHasMacApp], "runnable", MACOS, Is("app")),

    // Pictures and disk images
    rule("img-magic-*", &[Has(&["GIF image data"])], "misc", None, Is("gif")),
    rule("img-magic-*", &[Has(&["JPEG image data"])], "misc", None, Is("jpg")),
    rule("img-magic-*", &[Has(&["PNG image data"])], "misc", None, Is("png")),
    rule("img-magic-*", &[Has(&["Web/P image"])], "misc", None, Is("webp")),
    rule("img-ext-*", &[IMAGE_NAMES], "misc", None, OfName),
    rule("vhd-magic", &[Starts(&["Microsoft Disk Image"])], "archive", None, Is("vhd")),
    rule("vhd-ext", &[Named(&["vhd"])], "archive", None, Is("vhd")),

    // Scripts of Windows: only their names tell
    rule("winscript-ext-*", &[WINDOWS_SCRIPT_NAMES], "script", WINDOWS, OfName),

    // Documents
    rule("rtf-magic", &[Starts(&["Rich Text Format"])], "document", WINDOWS, Is("rtf")),
    rule("cdf-msi", &[CDF, Has(&["MSI Installer"])], "runnable", WINDOWS, Is("msi")),
    rule("cdf-app-*", &[CDF, Has(&["Name of Creating Application: Microsoft Word"])], "document", WINDOWS, Is("doc")),
    rule("cdf-app-*", &[CDF, Has(&["Name of Creating Application: Microsoft Excel"])], "document", WINDOWS, Is("xls")),
    rule("cdf-app-*", &[CDF, Has(&["Name of Creating Application: Microsoft PowerPoint"])], "document", WINDOWS, Is("ppt")),
    rule("cdf-ext", &[CDF, OFFICE_NAMES], "document", WINDOWS, OfName),
    rule("cdf-default", &[CDF], "document", WINDOWS, Is("doc")),
    rule("ooxml-magic-*", &[Starts(&["Microsoft Word"])], "document", WINDOWS, Is("docx")),
    rule("ooxml-magic-*", &[Starts(&["Microsoft Excel"])], "document", WINDOWS, Is("xlsx")),
    rule("ooxml-magic-*", &[Starts(&["Microsoft PowerPoint"])], "document", WINDOWS, Is("pptx")),
    rule("rtf-ext", &[Named(&["rtf"])], "document", WINDOWS, Is("rtf")),
    rule("office-ext", &[OFFICE_NAMES], "document", WINDOWS, OfName),
    rule("ooxml-zip-*", &[OOXML, ZipHasPrefix("word")], "document", WINDOWS, Is("docx")),
    rule("ooxml-zip-*", &[OOXML, ZipHasPrefix("ppt")], "document", WINDOWS, Is("pptx")),
    rule("ooxml-zip-*", &[OOXML, ZipHasPrefix("xl")], "document", WINDOWS, Is("xlsx")),
    rule("cdf-encrypted", &[Test::Is("CDFV2 Encrypted"), Mime("application/encrypted")], "document", WINDOWS, NONE),
    rule("pdf-magic", &[Starts(&["PDF document"])], "document", WINDOWS, Is("pdf")),
    rule("pdf-ext", &[Named(&["pdf"])], "document", WINDOWS, Is("pdf")),
    rule("json", &[Test::Is("JSON data")], "json", None, NONE),
    rule("json", &[Mime("application/json")], "json", None, NONE),

    // Archives and mail
    rule("arch-magic-*", &[Starts(&["7-zip archive data"])], "archive", None, Is("7z")),
    rule("arch-magic-*", &[Starts(&["ACE archive data"])], "archive", None, Is("ace")),
    rule("arch-magic-*", &[Starts(&["bzip2 compressed data"])], "archive", None, Is("bz2")),
    rule("arch-magic-*", &[Starts(&["Microsoft Cabinet archive data"])], "archive", None, Is("cab")),
    rule("arch-magic-*", &[Starts(&["cpio archive"])], "archive", None, Is("cpio")),
    rule("arch-magic-*", &[Starts(&["gzip compressed"])], "archive", None, Is("gz")),
    rule("arch-magic-*", &[Starts(&["ISO 9660 CD-ROM"])], "archive", None, Is("iso")),
    rule("arch-magic-*", &[Starts(&["lzip compressed data"])], "archive", None, Is("lz")),
    rule("arch-magic-*", &[Starts(&["tar archive", "POSIX tar archive"])], "archive", None, Is("tar")),
    rule("arch-magic-*", &[Starts(&["RAR archive data"])], "archive", None, Is("rar")),
    rule("arch-magic-*", &[Starts(&["UDF filesystem data"])], "archive", None, Is("udf")),
    rule("arch-magic-*", &[Starts(&["XZ compressed data"])], "archive", None, Is("xz")).with_mime("application/x-xz"),
    rule("arch-magic-*", &[ZIP], "archive", None, Is("zip")),
    rule("arch-magic-*", &[Starts(&["zlib compressed data"])], "archive", None, Is("zlib")),
    rule("arch-magic-*", &[Starts(&["  LHa (2.x) archive data", "  LHa 2.x? archive data"])], "archive", None, Is("lzh")),
    rule("arch-ext-*", &[Named(&["xz"])], "archive", None, OfName).with_mime("application/x-xz"),
    rule("arch-ext-*", &[ARCHIVE_NAMES], "archive", None, OfName),
    rule("mail-magic-*", &[Has(&["Microsoft Outlook Message"])], "archive", None, Is("msg")),
    rule("mail-magic-*", &[Has(&["multipart/mixed", "RFC 822 mail", "SMTP mail"])], "archive", None, Is("eml")),
    rule("mail-ext-*", &[Named(&["msg", "eml"])], "archive", None, OfName),

    // Pages and other scripts
    rule("html-magic", &[Starts(&["HTML document"])], "html", None, NONE),
    rule("script-magic-*", &[Has(&["PHP script"])], "script", None, Is("php")),
    rule("script-magic-*", &[Has(&["Perl script", "Perl5 module"])], "script", None, Is("pl")),
    rule("script-magic-*", &[Has(&["Python script"])], "script", None, Is("py")),
    rule("script-magic-*", &[Has(&["Ruby script"])], "script", None, Is("rb")),
    rule("script-magic-*", &[Has(&["AppleScript compiled"])], "script", None, Is("scpt")),
    rule("script-magic-*", &[Has(&["Bourne-Again shell", "POSIX shell"])], "script", None, Is("sh")),
    rule("script-ext-*", &[SCRIPT_NAMES], "script", None, OfName),

    // What the content looks like
    rule("dump-text", &[Test::Dump(Dump::Text)], "dump", WINDOWS, Is("exe")),
    rule("dump-pe", &[Test::Dump(Dump::Pe)], "dump", WINDOWS, Is("exe")),
    rule("dump-mz", &[Test::Dump(Dump::Mz)], "dump", WINDOWS, Is("exe")),
    rule("heur-html", &[Test::Script(Script::Html)], "html", None, NONE),
    rule("heur-vbs", &[Test::Script(Script::Vbs)], "script", WINDOWS, Is("vbs")),
    rule("heur-ps1", &[Test::Script(Script::PowerShell)], "script", WINDOWS, Is("ps1")),
    rule("heur-js", &[Test::Script(Script::Js)], "script", WINDOWS, Is("js")),
    // The same mark is on encoded VBScript, which is rarer.
    rule("heur-jse", &[Test::Script(Script::EncodedJs)], "script", WINDOWS, Is("jse")),

    // Plain text and the rest
    rule("ascii", &[Starts(&["ASCII"])], "ascii", None, NONE),
    rule("ascii", &[Ends("ASCII text")], "ascii", None, NONE),
    rule("csv", &[Starts(&["CSV text"])], "csv", None, NONE),
    rule("iso-8859", &[Starts(&["ISO-8859"])], "iso-8859-1", None, NONE),
    rule("utf-8", &[Starts(&["UTF-8"])], "utf-8", None, NONE),
    rule("pgp", &[Starts(&["PGP"])], "pgp", None, NONE),
    rule("pcap", &[Starts(&["pcap capture file", "tcpdump capture file"])], "pcap", None, NONE),
    rule("pcapng", &[Starts(&["pcap"]), Has(&["ng capture file"])], "pcapng", None, NONE),
];
