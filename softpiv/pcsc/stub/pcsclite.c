/*
 * A stand-in for libpcsclite.so.1: every call goes, as one frame, over the Unix
 * socket named by $SOFTPIV_SOCKET to package pcsc, which holds the readers. Read
 * wire.go for the frames. Built at test time; never installed, never linked.
 */
#include <winscard.h>

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const SCARD_IO_REQUEST g_rgSCardT0Pci = {SCARD_PROTOCOL_T0, sizeof(SCARD_IO_REQUEST)};
const SCARD_IO_REQUEST g_rgSCardT1Pci = {SCARD_PROTOCOL_T1, sizeof(SCARD_IO_REQUEST)};
const SCARD_IO_REQUEST g_rgSCardRawPci = {SCARD_PROTOCOL_RAW, sizeof(SCARD_IO_REQUEST)};

enum {
	OP_ESTABLISH = 1, OP_LIST, OP_CONNECT, OP_RECONNECT, OP_DISCONNECT, OP_BEGIN, OP_END,
	OP_TRANSMIT, OP_STATUS, OP_CHANGE, OP_CANCEL, OP_ATTRIB, OP_CONTROL, OP_RELEASE
};

#define MAX_CONTEXTS 1024
#define MAX_HANDLES 4096

/* A context is one connection; calls on it are serialized, as in pcsc-lite. */
struct context {
	uint32_t id; /* 0: free */
	int fd;
	pthread_mutex_t busy;
};

static pthread_mutex_t tables = PTHREAD_MUTEX_INITIALIZER;
static struct context contexts[MAX_CONTEXTS];
static struct { uint32_t id; struct context *ctx; } handles[MAX_HANDLES];

/* A growing buffer of big-endian fields. */
struct frame {
	unsigned char *p;
	size_t len, cap, at;
};

static void put(struct frame *f, const void *data, size_t n) {
	if (f->len + n > f->cap) {
		f->cap = (f->len + n) * 2 + 64;
		f->p = realloc(f->p, f->cap);
		if (!f->p) abort();
	}
	if (n) memcpy(f->p + f->len, data, n);
	f->len += n;
}

static void put32(struct frame *f, uint32_t v) {
	unsigned char b[4] = {v >> 24, v >> 16, v >> 8, v};
	put(f, b, 4);
}

static void putBytes(struct frame *f, const void *data, size_t n) {
	put32(f, n);
	put(f, data, n);
}

static uint32_t get32(struct frame *f) {
	if (f->at + 4 > f->len) return 0;
	unsigned char *b = f->p + f->at;
	f->at += 4;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static const unsigned char *getBytes(struct frame *f, size_t *n) {
	*n = get32(f);
	if (f->at + *n > f->len) *n = f->len - f->at;
	const unsigned char *b = f->p + f->at;
	f->at += *n;
	return b;
}

static int sendAll(int fd, const unsigned char *p, size_t n) {
	while (n > 0) {
		ssize_t m = send(fd, p, n, MSG_NOSIGNAL);
		if (m < 0 && errno == EINTR) continue;
		if (m <= 0) return 0;
		p += m, n -= m;
	}
	return 1;
}

static int readAll(int fd, unsigned char *p, size_t n) {
	while (n > 0) {
		ssize_t m = read(fd, p, n);
		if (m < 0 && errno == EINTR) continue;
		if (m <= 0) return 0;
		p += m, n -= m;
	}
	return 1;
}

static int dial(void) {
	const char *path = getenv("SOFTPIV_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	if (!path || strlen(path) >= sizeof addr.sun_path) return -1;
	strcpy(addr.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) return -1;
	while (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
		if (errno == EINTR) continue;
		close(fd);
		return -1;
	}
	return fd;
}

/* exchange sends length, op and fields, and leaves the fields of the reply in f. */
static LONG exchange(int fd, unsigned char op, struct frame *f) {
	struct frame out = {0};
	put32(&out, f->len + 1);
	put(&out, &op, 1);
	put(&out, f->p, f->len);
	int ok = sendAll(fd, out.p, out.len);
	free(out.p);
	unsigned char head[4];
	if (!ok || !readAll(fd, head, 4)) return SCARD_E_NO_SERVICE;
	size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	unsigned char *body = malloc(n + 1);
	if (!body) abort();
	if (!readAll(fd, body, n)) {
		free(body);
		return SCARD_E_NO_SERVICE;
	}
	free(f->p);
	*f = (struct frame){.p = body, .len = n, .cap = n + 1};
	return (LONG)get32(f);
}

static struct context *findContext(SCARDCONTEXT id) {
	struct context *found = NULL;
	pthread_mutex_lock(&tables);
	for (int i = 0; i < MAX_CONTEXTS && id; i++)
		if (contexts[i].id == (uint32_t)id) found = &contexts[i];
	pthread_mutex_unlock(&tables);
	return found;
}

static struct context *contextOf(SCARDHANDLE id) {
	struct context *found = NULL;
	pthread_mutex_lock(&tables);
	for (int i = 0; i < MAX_HANDLES && id; i++)
		if (handles[i].id == (uint32_t)id) found = handles[i].ctx;
	pthread_mutex_unlock(&tables);
	return found;
}

/* call makes one exchange on a context that may be released meanwhile. */
static LONG call(struct context *ctx, unsigned char op, struct frame *f) {
	if (!ctx) return SCARD_E_INVALID_HANDLE;
	pthread_mutex_lock(&ctx->busy);
	LONG rc = ctx->id ? exchange(ctx->fd, op, f) : SCARD_E_INVALID_HANDLE;
	pthread_mutex_unlock(&ctx->busy);
	return rc;
}

PCSC_API LONG SCardEstablishContext(DWORD scope, LPCVOID r1, LPCVOID r2, LPSCARDCONTEXT out) {
	(void)scope, (void)r1, (void)r2;
	if (!out) return SCARD_E_INVALID_PARAMETER;
	int fd = dial();
	if (fd < 0) return SCARD_E_NO_SERVICE;
	struct frame f = {0};
	LONG rc = exchange(fd, OP_ESTABLISH, &f);
	uint32_t id = get32(&f);
	free(f.p);
	struct context *ctx = NULL;
	pthread_mutex_lock(&tables);
	for (int i = 0; i < MAX_CONTEXTS && rc == SCARD_S_SUCCESS && !ctx; i++)
		if (contexts[i].id == 0 && pthread_mutex_trylock(&contexts[i].busy) == 0) ctx = &contexts[i];
	if (ctx) {
		ctx->id = id, ctx->fd = fd;
		pthread_mutex_unlock(&ctx->busy);
	}
	pthread_mutex_unlock(&tables);
	if (!ctx) {
		close(fd);
		return rc == SCARD_S_SUCCESS ? SCARD_E_NO_MEMORY : rc;
	}
	*out = id;
	return SCARD_S_SUCCESS;
}

PCSC_API LONG SCardReleaseContext(SCARDCONTEXT hContext) {
	struct context *ctx = findContext(hContext);
	if (!ctx) return SCARD_E_INVALID_HANDLE;
	struct frame f = {0};
	LONG rc = call(ctx, OP_RELEASE, &f);
	free(f.p);
	pthread_mutex_lock(&ctx->busy);
	pthread_mutex_lock(&tables);
	for (int i = 0; i < MAX_HANDLES; i++)
		if (handles[i].ctx == ctx) handles[i].id = 0, handles[i].ctx = NULL;
	if (ctx->id == (uint32_t)hContext) {
		close(ctx->fd);
		ctx->id = 0, ctx->fd = -1;
	}
	pthread_mutex_unlock(&tables);
	pthread_mutex_unlock(&ctx->busy);
	return rc;
}

PCSC_API LONG SCardIsValidContext(SCARDCONTEXT hContext) {
	return findContext(hContext) ? SCARD_S_SUCCESS : SCARD_E_INVALID_HANDLE;
}

PCSC_API LONG SCardConnect(SCARDCONTEXT hContext, LPCSTR reader, DWORD share, DWORD protocols, LPSCARDHANDLE out, LPDWORD active) {
	if (!reader || !out || !active) return SCARD_E_INVALID_PARAMETER;
	struct context *ctx = findContext(hContext);
	struct frame f = {0};
	putBytes(&f, reader, strlen(reader));
	put32(&f, share);
	put32(&f, protocols);
	LONG rc = call(ctx, OP_CONNECT, &f);
	if (rc == SCARD_S_SUCCESS) {
		*out = get32(&f);
		*active = get32(&f);
		pthread_mutex_lock(&tables);
		int i = 0;
		while (i < MAX_HANDLES && handles[i].id) i++;
		if (i < MAX_HANDLES) handles[i].id = *out, handles[i].ctx = ctx;
		pthread_mutex_unlock(&tables);
		if (i == MAX_HANDLES) rc = SCARD_E_NO_MEMORY;
	}
	free(f.p);
	return rc;
}

PCSC_API LONG SCardReconnect(SCARDHANDLE h, DWORD share, DWORD protocols, DWORD init, LPDWORD active) {
	struct frame f = {0};
	put32(&f, h);
	put32(&f, share);
	put32(&f, protocols);
	put32(&f, init);
	LONG rc = call(contextOf(h), OP_RECONNECT, &f);
	if (rc == SCARD_S_SUCCESS && active) *active = get32(&f);
	free(f.p);
	return rc;
}

PCSC_API LONG SCardDisconnect(SCARDHANDLE h, DWORD disposition) {
	struct frame f = {0};
	put32(&f, h);
	put32(&f, disposition);
	LONG rc = call(contextOf(h), OP_DISCONNECT, &f);
	free(f.p);
	pthread_mutex_lock(&tables);
	for (int i = 0; i < MAX_HANDLES; i++)
		if (handles[i].id && handles[i].id == (uint32_t)h) handles[i].id = 0, handles[i].ctx = NULL;
	pthread_mutex_unlock(&tables);
	return rc;
}

PCSC_API LONG SCardBeginTransaction(SCARDHANDLE h) {
	struct frame f = {0};
	put32(&f, h);
	LONG rc = call(contextOf(h), OP_BEGIN, &f);
	free(f.p);
	return rc;
}

PCSC_API LONG SCardEndTransaction(SCARDHANDLE h, DWORD disposition) {
	struct frame f = {0};
	put32(&f, h);
	put32(&f, disposition);
	LONG rc = call(contextOf(h), OP_END, &f);
	free(f.p);
	return rc;
}

/* give copies a result the PC/SC way: length query, copy, or allocation. */
static LONG give(const unsigned char *data, size_t n, void *to, LPDWORD len) {
	if (!len) return to ? SCARD_E_INVALID_PARAMETER : SCARD_S_SUCCESS;
	DWORD room = *len;
	*len = n;
	if (!to) return SCARD_S_SUCCESS;
	if (room == SCARD_AUTOALLOCATE) {
		unsigned char *p = malloc(n + 1);
		if (!p) return SCARD_E_NO_MEMORY;
		memcpy(p, data, n);
		*(unsigned char **)to = p;
		return SCARD_S_SUCCESS;
	}
	if (room < n) return SCARD_E_INSUFFICIENT_BUFFER;
	memcpy(to, data, n);
	return SCARD_S_SUCCESS;
}

PCSC_API LONG SCardStatus(SCARDHANDLE h, LPSTR name, LPDWORD nameLen, LPDWORD state, LPDWORD protocol, LPBYTE atr, LPDWORD atrLen) {
	struct frame f = {0};
	put32(&f, h);
	LONG rc = call(contextOf(h), OP_STATUS, &f);
	if (rc == SCARD_S_SUCCESS) {
		size_t n;
		const unsigned char *b = getBytes(&f, &n);
		LONG first = give(b, n, name, nameLen);
		DWORD s = get32(&f), p = get32(&f);
		if (state) *state = s;
		if (protocol) *protocol = p;
		b = getBytes(&f, &n);
		rc = give(b, n, atr, atrLen);
		if (rc == SCARD_S_SUCCESS) rc = first;
	}
	free(f.p);
	return rc;
}

PCSC_API LONG SCardGetStatusChange(SCARDCONTEXT hContext, DWORD timeout, SCARD_READERSTATE *states, DWORD count) {
	struct context *ctx = findContext(hContext);
	if (!ctx) return SCARD_E_INVALID_HANDLE;
	struct frame f = {0};
	put32(&f, timeout);
	put32(&f, count);
	for (DWORD i = 0; i < count; i++) {
		const char *name = states[i].szReader ? states[i].szReader : "";
		putBytes(&f, name, strlen(name));
		put32(&f, states[i].dwCurrentState);
	}
	LONG rc = call(ctx, OP_CHANGE, &f);
	for (DWORD i = 0; i < count && f.at < f.len; i++) {
		size_t n;
		states[i].dwEventState = get32(&f);
		const unsigned char *b = getBytes(&f, &n);
		if (n > sizeof states[i].rgbAtr) n = sizeof states[i].rgbAtr;
		memcpy(states[i].rgbAtr, b, n);
		states[i].cbAtr = n;
	}
	free(f.p);
	return rc;
}

PCSC_API LONG SCardControl(SCARDHANDLE h, DWORD code, LPCVOID in, DWORD inLen, LPVOID out, DWORD outLen, LPDWORD returned) {
	struct frame f = {0};
	put32(&f, h);
	put32(&f, code);
	putBytes(&f, in, in ? inLen : 0);
	LONG rc = call(contextOf(h), OP_CONTROL, &f);
	if (returned) *returned = 0;
	if (rc == SCARD_S_SUCCESS) {
		size_t n;
		const unsigned char *b = getBytes(&f, &n);
		DWORD room = outLen;
		rc = give(b, n, out, &room);
		if (returned) *returned = room;
	}
	free(f.p);
	return rc;
}

PCSC_API LONG SCardTransmit(SCARDHANDLE h, const SCARD_IO_REQUEST *sendPci, LPCBYTE in, DWORD inLen, SCARD_IO_REQUEST *recvPci, LPBYTE out, LPDWORD outLen) {
	if (!in || !out || !outLen) return SCARD_E_INVALID_PARAMETER;
	struct frame f = {0};
	put32(&f, h);
	putBytes(&f, in, inLen);
	LONG rc = call(contextOf(h), OP_TRANSMIT, &f);
	if (rc == SCARD_S_SUCCESS) {
		size_t n;
		const unsigned char *b = getBytes(&f, &n);
		rc = give(b, n, out, outLen);
		if (recvPci && sendPci) *recvPci = *sendPci;
	} else {
		*outLen = 0;
	}
	free(f.p);
	return rc;
}

PCSC_API LONG SCardListReaders(SCARDCONTEXT hContext, LPCSTR groups, LPSTR readers, LPDWORD len) {
	(void)groups;
	if (!len) return SCARD_E_INVALID_PARAMETER;
	struct context *ctx = findContext(hContext);
	struct frame f = {0};
	LONG rc = call(ctx, OP_LIST, &f);
	if (rc == SCARD_S_SUCCESS) {
		size_t n;
		const unsigned char *b = getBytes(&f, &n);
		rc = give(b, n, readers, len);
	}
	free(f.p);
	return rc;
}

PCSC_API LONG SCardListReaderGroups(SCARDCONTEXT hContext, LPSTR groups, LPDWORD len) {
	static const unsigned char name[] = "SCard$DefaultReaders\0";
	if (!findContext(hContext)) return SCARD_E_INVALID_HANDLE;
	return give(name, sizeof name, groups, len);
}

PCSC_API LONG SCardFreeMemory(SCARDCONTEXT hContext, LPCVOID mem) {
	if (!findContext(hContext)) return SCARD_E_INVALID_HANDLE;
	free((void *)mem);
	return SCARD_S_SUCCESS;
}

/* The context's own connection may be waiting: cancel goes over one of its own. */
PCSC_API LONG SCardCancel(SCARDCONTEXT hContext) {
	if (!findContext(hContext)) return SCARD_E_INVALID_HANDLE;
	int fd = dial();
	if (fd < 0) return SCARD_E_NO_SERVICE;
	struct frame f = {0};
	put32(&f, hContext);
	LONG rc = exchange(fd, OP_CANCEL, &f);
	free(f.p);
	close(fd);
	return rc;
}

PCSC_API LONG SCardGetAttrib(SCARDHANDLE h, DWORD id, LPBYTE out, LPDWORD len) {
	struct frame f = {0};
	put32(&f, h);
	put32(&f, id);
	LONG rc = call(contextOf(h), OP_ATTRIB, &f);
	if (rc == SCARD_S_SUCCESS) {
		size_t n;
		const unsigned char *b = getBytes(&f, &n);
		rc = give(b, n, out, len);
	}
	free(f.p);
	return rc;
}

PCSC_API LONG SCardSetAttrib(SCARDHANDLE h, DWORD id, LPCBYTE in, DWORD len) {
	(void)id, (void)in, (void)len;
	return contextOf(h) ? SCARD_E_UNSUPPORTED_FEATURE : SCARD_E_INVALID_HANDLE;
}

PCSC_API const char *pcsc_stringify_error(const LONG rc) {
	static __thread char text[48];
	snprintf(text, sizeof text, rc == SCARD_S_SUCCESS ? "Command successful." : "PC/SC error 0x%08lX", rc & 0xFFFFFFFF);
	return text;
}
