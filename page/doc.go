// Package page shows how a repository stands as one HTML file: for the auditor, the manager
// and whoever is on call, who look at browsers.
//
// The file is static. It holds no script and asks for nothing: no font, picture or style from
// elsewhere; its policy (CSP) forbids that too. It can be mailed, kept with a ceremony's papers
// or served beside the repository. It says nothing that is not public but where keys are kept,
// what they are called and who signed, as the transcript has it: serve it to those who may
// know that.
//
// It is readable without colours, on a phone, with a keyboard and with a screen reader: one
// main part with headings, tables with headers, and every bar has its words beside it. It is
// light or dark as the reader's system is.
//
// Whatever others wrote (names of keys, components, channels, people) passes one function
// that escapes what is not visible; html/template does the rest. The file stays below
// [MaxSize] whatever the size of the repository: what is long is cut, and how much was left
// out is said.
package page
