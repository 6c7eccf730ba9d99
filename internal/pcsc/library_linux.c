// On Linux libpcsclite.so.1 is loaded when a card is first asked for, not when the program
// starts: a program that is linked with it does not start at all where it is missing, and
// nobody is told why. The functions of winscard.h that this package and piv-go call stand
// here, in front of the library's, which the linker then leaves out (--as-needed).

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <PCSC/winscard.h>

#define OURS __attribute__((visibility("hidden")))

static void *library;
static char why[512];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
	const char *said;
	library = dlopen("libpcsclite.so.1", RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		said = dlerror();
		snprintf(why, sizeof why, "%s", said == NULL ? "libpcsclite.so.1 cannot be loaded" : said);
	}
}

// pcsc_missing says why the library cannot be loaded, NULL if it is.
OURS const char *pcsc_missing(void) {
	pthread_once(&once, load);
	return library == NULL ? why : NULL;
}

static void *find(const char *name) { return pcsc_missing() == NULL ? dlsym(library, name) : NULL; }

// Of this structure the address is compared with nothing: its content counts.
OURS const SCARD_IO_REQUEST g_rgSCardT1Pci = {SCARD_PROTOCOL_T1, sizeof(SCARD_IO_REQUEST)};

#define CALL(name, ...)                                        \
	do {                                                   \
		__typeof__(name) *theirs = find(#name);        \
		if (theirs == NULL) return SCARD_E_NO_SERVICE; \
		return theirs(__VA_ARGS__);                    \
	} while (0)

OURS LONG SCardEstablishContext(DWORD scope, LPCVOID reserved1, LPCVOID reserved2, LPSCARDCONTEXT context) {
	CALL(SCardEstablishContext, scope, reserved1, reserved2, context);
}

OURS LONG SCardReleaseContext(SCARDCONTEXT context) { CALL(SCardReleaseContext, context); }

OURS LONG SCardListReaders(SCARDCONTEXT context, LPCSTR groups, LPSTR readers, LPDWORD len) {
	CALL(SCardListReaders, context, groups, readers, len);
}

OURS LONG SCardConnect(SCARDCONTEXT context, LPCSTR reader, DWORD mode, DWORD protocols, LPSCARDHANDLE card, LPDWORD protocol) {
	CALL(SCardConnect, context, reader, mode, protocols, card, protocol);
}

OURS LONG SCardDisconnect(SCARDHANDLE card, DWORD disposition) { CALL(SCardDisconnect, card, disposition); }

OURS LONG SCardBeginTransaction(SCARDHANDLE card) { CALL(SCardBeginTransaction, card); }

OURS LONG SCardEndTransaction(SCARDHANDLE card, DWORD disposition) { CALL(SCardEndTransaction, card, disposition); }

OURS LONG SCardTransmit(SCARDHANDLE card, const SCARD_IO_REQUEST *send, LPCBYTE command, DWORD len, SCARD_IO_REQUEST *receive, LPBYTE answer, LPDWORD answered) {
	CALL(SCardTransmit, card, send, command, len, receive, answer, answered);
}
