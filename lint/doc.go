// Package lint looks at a file before it is signed and asks whether it is what its
// name and platform say: agents install what is published, and nobody gets a second
// try on a laptop that no longer starts.
//
// [File] looks at one file, [Release] at the files of a release together. Both read
// in a stream: whatever the size of the file, they hold a few hundred kilobytes, and
// of a Mach-O or PE executable its symbol table.
//
// # What is known
//
// The components of COMPAT.md 1.2: orbit, desktop, osqueryd, nudge, swiftDialog,
// escrowBuddy and extensions/NAME, each with the platforms, the file name, the
// format and, in an archive, the inner path that agents expect:
//
//	orbit        linux* macos windows*   ELF, Mach-O or PE; .exe on Windows
//	desktop      linux*                  tar.gz with fleet-desktop/fleet-desktop
//	desktop      macos                   .app.tar.gz with Fleet Desktop.app/Contents/MacOS/fleet-desktop
//	desktop      windows*                PE
//	osqueryd     linux* windows*         ELF or PE; .exe on Windows
//	osqueryd     macos-app               .app.tar.gz with osquery.app/Contents/MacOS/osqueryd
//	nudge        macos                   .app.tar.gz with Nudge.app/Contents/MacOS/...
//	swiftDialog  macos                   .app.tar.gz with Dialog.app/Contents/MacOS/...
//	escrowBuddy  macos                   .pkg
//	extensions/  linux* macos windows*   .ext, on Windows .ext.exe
//
// The architecture is read from the headers, inside of archives too: amd64 on linux
// and windows, arm64 on linux-arm64 and windows-arm64, either or both on macos.
//
// # What is judged
//
// An error is something that agents cannot run or install. What this package does
// not know (another component, another platform, a script, an unknown format, a file
// shorter than any header) gets a warning at most: a self-run server may publish what
// it likes.
package lint
