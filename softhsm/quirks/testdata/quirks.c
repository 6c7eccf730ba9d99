/* A PKCS#11 module that stands before a real one, forwards every call, and has the
 * quirks that it is told. README.md lists them.
 *
 * The test copies it to a folder of its own and writes "<module>.conf" beside it, lines
 * of NAME=VALUE, which are read anew at each call. Each call adds a line to
 * "<module>.log". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pkcs11go.h"
#include "settings.h"

#define BAD_SLOT 9999

static CK_FUNCTION_LIST list;
static CK_FUNCTION_LIST_PTR real;
static int sessions, wrong_pins, restarts_seen, first_after_restart, bad_signatures, sessions_lost;
static int logged_in, signing, together;
/* restart=N: the N-th restart of the HSM. The first call on a session answers
 * CKR_DEVICE_ERROR, every later one CKR_SESSION_HANDLE_INVALID, until C_Initialize. */
static CK_RV restarted(void)
{
	long n = number("restart", 0);
	if (n <= restarts_seen) return CKR_OK;
	pthread_mutex_lock(&mu);
	CK_RV rv = first_after_restart++ ? CKR_SESSION_HANDLE_INVALID : CKR_DEVICE_ERROR;
	pthread_mutex_unlock(&mu);
	return rv;
}

/* kill=N: the N-th time that every session is closed by force. No call is under way
 * then: SoftHSM itself does not survive losing a session inside C_Sign. */
static pthread_rwlock_t calls = PTHREAD_RWLOCK_INITIALIZER;
static int kills_seen;

static void kill_sessions(void)
{
	long n = number("kill", 0);
	if (n <= kills_seen) return;
	pthread_rwlock_wrlock(&calls);
	if (n > kills_seen) {
		CK_SLOT_ID slots[16];
		CK_ULONG count = 16;
		if (!real->C_GetSlotList(CK_TRUE, slots, &count))
			while (count > 0) real->C_CloseAllSessions(slots[--count]);
		kills_seen = n;
		sessions = 0;
	}
	pthread_rwlock_unlock(&calls);
}

static int enter_call(void) { kill_sessions(); pthread_rwlock_rdlock(&calls); return 0; }
static void leave_call(int *unused) { (void)unused; pthread_rwlock_unlock(&calls); }

#define ENTER(function) do { note(function); hang(function); if (strcmp(function, "C_Sign")) delay(function); CK_RV rv_ = fail(function); if (rv_) return rv_; } while (0)
#define ON_SESSION(function) \
	ENTER(function); \
	do { CK_RV rv_ = restarted(); if (rv_) return rv_; } while (0); \
	int in_call __attribute__((cleanup(leave_call))) = enter_call(); (void)in_call

static CK_RV initialize(CK_VOID_PTR args)
{
	ENTER("C_Initialize");
	restarts_seen = number("restart", 0);
	first_after_restart = 0;
	sessions = logged_in = 0;
	/* refuse_args=CODE: takes no arguments, as modules that know no threads */
	if (args && on("refuse_args")) return number("refuse_args", 0);
	char want[256];
	if (text("init_args", want, sizeof want)) { /* NSS wants its parameters there */
		CK_C_INITIALIZE_ARGS *a = args;
		if (!a || !a->pReserved || strcmp(a->pReserved, want)) return CKR_ARGUMENTS_BAD;
		a->pReserved = NULL;
	}
	return real->C_Initialize(args);
}

static CK_RV finalize(CK_VOID_PTR reserved)
{
	ENTER("C_Finalize");
	return real->C_Finalize(reserved);
}

static CK_RV get_slot_list(CK_BBOOL present, CK_SLOT_ID_PTR slots, CK_ULONG_PTR count)
{
	ENTER("C_GetSlotList");
	if (on("no_slots")) { *count = 0; return CKR_OK; }
	/* shy_slots: no slot has a token unless all slots are asked for */
	if (on("shy_slots") && present) { *count = 0; return CKR_OK; }
	if (!on("bad_slot")) return real->C_GetSlotList(present, slots, count);
	if (!slots) {
		CK_RV rv = real->C_GetSlotList(present, NULL, count);
		(*count)++;
		return rv;
	}
	CK_ULONG n = *count - 1;
	CK_RV rv = real->C_GetSlotList(present, slots + 1, &n);
	slots[0] = BAD_SLOT;
	*count = n + 1;
	return rv;
}

static CK_RV get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO_PTR info)
{
	ENTER("C_GetSlotInfo");
	return slot == BAD_SLOT ? CKR_DEVICE_ERROR : real->C_GetSlotInfo(slot, info);
}

static CK_RV get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
	ENTER("C_GetTokenInfo");
	if (slot == BAD_SLOT) return CKR_TOKEN_NOT_RECOGNIZED;
	CK_RV rv = real->C_GetTokenInfo(slot, info);
	if (rv) return rv;
	long tries = number("pin_tries", 0);
	if (tries) {
		info->flags &= ~(CK_ULONG)(CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED);
		if (wrong_pins > 0) info->flags |= CKF_USER_PIN_COUNT_LOW;
		if (wrong_pins == tries - 1) info->flags |= CKF_USER_PIN_FINAL_TRY;
		if (wrong_pins >= tries) info->flags |= CKF_USER_PIN_LOCKED;
	}
	info->flags |= number("flags_on", 0);
	info->flags &= ~number("flags_off", 0);
	if (on("pad")) info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
	if (on("no_login")) info->flags &= ~(CK_ULONG)CKF_LOGIN_REQUIRED;
	if (on("write_protected")) info->flags |= CKF_WRITE_PROTECTED;
	if (on("max_sessions") && !on("hide_max")) {
		info->ulMaxSessionCount = number("max_sessions", 0);
		info->ulMaxRwSessionCount = number("max_sessions", 0);
	}
	long max_pin = number("max_pin", 0);
	if (max_pin) info->ulMaxPinLen = max_pin;
	if (on("nul_padding")) /* tpm2-pkcs11 pads with NULs */
		for (int i = 31; i > 0 && info->label[i] == ' '; i--) info->label[i] = 0;
	char serial[32];
	if (text("serial", serial, sizeof serial)) {
		memset(info->serialNumber, ' ', sizeof info->serialNumber);
		memcpy(info->serialNumber, serial, strlen(serial));
	}
	return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify, CK_SESSION_HANDLE_PTR s)
{
	ENTER("C_OpenSession");
	if (on("write_protected") && flags & CKF_RW_SESSION) return CKR_TOKEN_WRITE_PROTECTED;
	long max = number("max_sessions", 0);
	pthread_mutex_lock(&mu);
	int full = max && sessions >= max;
	if (!full) sessions++;
	pthread_mutex_unlock(&mu);
	if (full) return CKR_SESSION_COUNT;
	CK_RV rv = real->C_OpenSession(slot, flags, app, notify, s);
	char pin[256];
	if (!rv && text("no_login", pin, sizeof pin) && !logged_in++)
		real->C_Login(*s, CKU_USER, (CK_UTF8CHAR_PTR)pin, strlen(pin));
	return rv;
}

static CK_RV close_session(CK_SESSION_HANDLE s)
{
	ENTER("C_CloseSession");
	CK_RV rv = real->C_CloseSession(s);
	pthread_mutex_lock(&mu);
	if (!rv) sessions--;
	if (!rv && !sessions) logged_in = 0;
	pthread_mutex_unlock(&mu);
	return rv;
}

static CK_RV get_session_info(CK_SESSION_HANDLE s, CK_SESSION_INFO_PTR info)
{
	ON_SESSION("C_GetSessionInfo");
	return real->C_GetSessionInfo(s, info);
}

static CK_RV login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG len)
{
	ON_SESSION(user == CKU_CONTEXT_SPECIFIC ? "C_Login(context)" : "C_Login");
	/* lose_session=N: the session is gone at the first N logins, before the PIN is looked at */
	if (sessions_lost < number("lose_session", 0)) {
		sessions_lost++;
		real->C_CloseSession(s);
		return CKR_SESSION_HANDLE_INVALID;
	}
	char pad[256];
	long tries = number("pin_tries", 0);
	if (text("pad", pad, sizeof pad)) {
		if (pin || len) return CKR_ARGUMENTS_BAD;
		pin = (CK_UTF8CHAR_PTR)pad;
		len = strlen(pad);
	}
	if (tries && wrong_pins >= tries) return CKR_PIN_LOCKED;
	if (!pin || !len) { wrong_pins++; return CKR_PIN_INCORRECT; } /* as openCryptoki counts it */
	CK_RV rv = real->C_Login(s, user, pin, len);
	if (rv == CKR_PIN_INCORRECT) {
		wrong_pins++;
		rv = number("wrong_pin_code", rv);
	} else if (!rv) wrong_pins = 0;
	return rv;
}

static CK_RV logout(CK_SESSION_HANDLE s)
{
	ON_SESSION("C_Logout");
	return real->C_Logout(s);
}

/* hide=CLASS: no object of the class is found. */
static CK_RV find_objects_init(CK_SESSION_HANDLE s, CK_ATTRIBUTE_PTR t, CK_ULONG n)
{
	ON_SESSION("C_FindObjectsInit");
	CK_ULONG class;
	for (CK_ULONG i = 0; i < n; i++) {
		if (t[i].type == CKA_LABEL && !t[i].ulValueLen) return CKR_TEMPLATE_INCONSISTENT; /* as CloudHSM */
		if (t[i].type != CKA_CLASS) continue;
		memcpy(&class, t[i].pValue, sizeof class);
		if (!listed("hide", class)) continue;
		CK_OBJECT_CLASS none = CKO_VENDOR_DEFINED + 77;
		CK_ATTRIBUTE nothing = {CKA_CLASS, &none, sizeof none};
		return real->C_FindObjectsInit(s, &nothing, 1);
	}
	return real->C_FindObjectsInit(s, t, n);
}

static size_t unhex(const char *hex, unsigned char *out)
{
	size_t n = 0;
	for (; hex[0] && hex[1]; hex += 2, n++) sscanf(hex, "%2hhx", &out[n]);
	return n;
}

/* attr=TYPE:HEX gives an attribute another value; hide_attr=TYPE makes it unknown;
 * raw_points takes the DER header off CKA_EC_POINT. */
static CK_RV get_attribute(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_PTR a)
{
	char v[4096];
	if (listed("hide_attr", a->type)) {
		a->ulValueLen = (CK_ULONG)-1;
		return CKR_ATTRIBUTE_TYPE_INVALID;
	}
	for (int i = 0; text_at("attr", i, v, sizeof v); i++) {
		char *hex;
		if (strtoul(v, &hex, 0) != a->type) continue;
		unsigned char value[2048];
		a->ulValueLen = unhex(hex + 1, value);
		if (a->pValue) memcpy(a->pValue, value, a->ulValueLen);
		return CKR_OK;
	}
	if (a->type == CKA_EC_POINT && on("raw_points")) {
		unsigned char der[256];
		CK_ATTRIBUTE b = {CKA_EC_POINT, der, sizeof der};
		CK_RV rv = real->C_GetAttributeValue(s, o, &b, 1);
		if (rv) { a->ulValueLen = b.ulValueLen; return rv; }
		a->ulValueLen = b.ulValueLen - 2;
		if (a->pValue) memcpy(a->pValue, der + 2, a->ulValueLen);
		return CKR_OK;
	}
	return real->C_GetAttributeValue(s, o, a, 1);
}

static CK_RV get_attribute_value(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_PTR a, CK_ULONG n)
{
	ON_SESSION("C_GetAttributeValue");
	CK_RV rv = CKR_OK;
	for (CK_ULONG i = 0; i < n; i++) {
		CK_RV one = get_attribute(s, o, &a[i]);
		if (one) rv = one;
	}
	return rv;
}

static CK_RV sign_init(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE key)
{
	ON_SESSION("C_SignInit");
	if (listed("no_mechanism", m->mechanism)) return CKR_MECHANISM_INVALID;
	return real->C_SignInit(s, m, key);
}

/* signature=FORM: an ECDSA signature as DER, with longer lengths than needed (ber), as
 * r and s without leading zeros (short), as two signed integers (signed), or inside an
 * octet string (wrapped). */
static size_t trimmed(unsigned char *out, const unsigned char *in, size_t n, int sign)
{
	while (n > 1 && !*in) in++, n--;
	size_t pad = sign && *in & 0x80;
	if (pad) *out++ = 0;
	memcpy(out, in, n);
	return n + pad;
}
static CK_ULONG dress(const char *form, unsigned char *sig, CK_ULONG len)
{
	unsigned char r[40], s[40], out[128];
	size_t n = len / 2, nr, ns, k = 0;
	if (!strcmp(form, "wrapped")) {
		memmove(sig + 2, sig, len);
		sig[0] = 0x04; sig[1] = len;
		return len + 2;
	}
	int sign = strcmp(form, "short"), ber = !strcmp(form, "ber");
	nr = trimmed(r, sig, n, sign), ns = trimmed(s, sig + n, n, sign);
	if (!strcmp(form, "short") || !strcmp(form, "signed")) {
		memcpy(sig, r, nr);
		memcpy(sig + nr, s, ns);
		return nr + ns;
	}
	out[k++] = 0x30;
	if (ber) { out[k++] = 0x82; out[k++] = 0; }
	out[k++] = nr + ns + 4 + 2 * ber;
	out[k++] = 0x02; if (ber) out[k++] = 0x81; out[k++] = nr; memcpy(out + k, r, nr); k += nr;
	out[k++] = 0x02; if (ber) out[k++] = 0x81; out[k++] = ns; memcpy(out + k, s, ns); k += ns;
	memcpy(sig, out, k);
	return k;
}

static CK_RV sign(CK_SESSION_HANDLE s, CK_BYTE_PTR data, CK_ULONG len, CK_BYTE_PTR sig, CK_ULONG_PTR sig_len)
{
	ON_SESSION("C_Sign");
	long max = number("data_max", 0);
	if (max && len > (CK_ULONG)max) return CKR_DATA_LEN_RANGE;
	if (sig) delay("C_Sign"); /* the length of a signature is no secret of the HSM's */
	if (!sig && on("no_length_query")) return CKR_ARGUMENTS_BAD;
	/* want_room=N: the buffer must be that large, whatever the signature takes */
	if (sig && *sig_len < (CK_ULONG)number("want_room", 0)) { *sig_len = number("want_room", 0); return CKR_BUFFER_TOO_SMALL; }
	/* alone: two calls at once are one too many */
	if (on("alone")) {
		if (__sync_fetch_and_add(&signing, 1)) together++;
		usleep(1000);
		CK_RV rv = together ? CKR_GENERAL_ERROR : real->C_Sign(s, data, len, sig, sig_len);
		__sync_fetch_and_sub(&signing, 1);
		return rv;
	}
	CK_RV rv = real->C_Sign(s, data, len, sig, sig_len);
	char form[32];
	if (!rv && sig && text("signature", form, sizeof form)) *sig_len = dress(form, sig, *sig_len);
	if (!rv && sig && bad_signatures < number("bad_signatures", 0)) { bad_signatures++; sig[5] ^= 0x40; }
	return rv;
}

/* no_attribute=TYPE: a template with it is refused; needs_attribute=TYPE: one without it;
 * needs_params=HEX: only these CKA_EC_PARAMS are taken, and the real module gets the OID;
 * extractable: the module makes every key so, whatever it is asked. */
static CK_RV judge_template(CK_ATTRIBUTE_PTR t, CK_ULONG n)
{
	long wanted = number("needs_attribute", 0);
	char hex[2048];
	unsigned char want[1024];
	static unsigned char p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	for (CK_ULONG i = 0; i < n; i++) {
		if (listed("no_attribute", t[i].type)) return number("no_attribute_code", CKR_ATTRIBUTE_TYPE_INVALID);
		if ((CK_ULONG)wanted == t[i].type) wanted = 0;
		if (t[i].type != CKA_EC_PARAMS || !text("needs_params", hex, sizeof hex)) continue;
		size_t len = unhex(hex, want);
		if (len != t[i].ulValueLen || memcmp(want, t[i].pValue, len)) return CKR_ATTRIBUTE_VALUE_INVALID;
		t[i].pValue = p256, t[i].ulValueLen = sizeof p256;
	}
	return wanted ? CKR_TEMPLATE_INCOMPLETE : CKR_OK;
}

static CK_RV generate_pair(CK_SESSION_HANDLE s, CK_MECHANISM_PTR m, CK_ATTRIBUTE_PTR pub, CK_ULONG npub,
	CK_ATTRIBUTE_PTR priv, CK_ULONG npriv, CK_OBJECT_HANDLE_PTR hpub, CK_OBJECT_HANDLE_PTR hpriv)
{
	ON_SESSION("C_GenerateKeyPair");
	CK_RV judged = judge_template(pub, npub);
	if (!judged) judged = judge_template(priv, npriv);
	if (judged) return judged;
	for (CK_ULONG i = 0; i < npriv; i++) {
		if (priv[i].type == CKA_EXTRACTABLE && on("extractable")) *(CK_BBOOL *)priv[i].pValue = CK_TRUE;
	}
	return real->C_GenerateKeyPair(s, m, pub, npub, priv, npriv, hpub, hpriv);
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR out)
{
	Dl_info me;
	char path[4096];
	if (!dladdr((void *)C_GetFunctionList, &me)) return CKR_GENERAL_ERROR;
	snprintf(self, sizeof self, "%s", me.dli_fname);
	note("C_GetFunctionList");
	hang("C_GetFunctionList");
	if (on("no_functions")) return CKR_OK; /* and no list */
	if (!text("real", path, sizeof path)) return CKR_GENERAL_ERROR;
	void *lib = dlopen(path, RTLD_NOW);
	if (!lib) return CKR_GENERAL_ERROR;
	CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(lib, "C_GetFunctionList");
	CK_RV rv = get(&real);
	if (rv) return rv;
	list = *real;
	list.C_Initialize = initialize;
	list.C_Finalize = finalize;
	list.C_GetFunctionList = C_GetFunctionList;
	list.C_GetSlotList = get_slot_list;
	list.C_GetSlotInfo = get_slot_info;
	list.C_GetTokenInfo = get_token_info;
	list.C_OpenSession = open_session;
	list.C_CloseSession = close_session;
	list.C_GetSessionInfo = get_session_info;
	list.C_Login = login;
	list.C_Logout = logout;
	list.C_FindObjectsInit = find_objects_init;
	list.C_GetAttributeValue = get_attribute_value;
	list.C_SignInit = sign_init;
	list.C_Sign = sign;
	if (on("no_function")) list.C_GetSessionInfo = NULL;
	list.C_GenerateKeyPair = generate_pair;
	*out = &list;
	return CKR_OK;
}
