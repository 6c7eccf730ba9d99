/* What the forwarding module was told (<module>.conf), and the log of its calls
 * (<module>.log). Included once, by quirks.c. */
static char self[4096];
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static int failures;

/* text copies the value of a name into out and says whether the name is there. The
 * n-th line of that name counts, from 0. */
static int text_at(const char *name, int n, char *out, size_t size)
{
	char path[4200], line[4096];
	snprintf(path, sizeof path, "%s.conf", self);
	FILE *f = fopen(path, "r");
	if (!f) return 0;
	size_t len = strlen(name);
	int found = 0;
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, name, len) || line[len] != '=') continue;
		if (n-- > 0) continue;
		snprintf(out, size, "%s", line + len + 1);
		found = 1;
		break;
	}
	fclose(f);
	return found;
}
static int text(const char *name, char *out, size_t size) { return text_at(name, 0, out, size); }
static int on(const char *name) { char v[8]; return text(name, v, sizeof v); }
static long number(const char *name, long otherwise)
{
	char v[64];
	return text(name, v, sizeof v) ? strtol(v, NULL, 0) : otherwise;
}
/* listed says whether number n is the value of one of the lines of that name. */
static int listed(const char *name, unsigned long n)
{
	char v[64];
	for (int i = 0; text_at(name, i, v, sizeof v); i++)
		if (strtoul(v, NULL, 0) == n) return 1;
	return 0;
}

static void note(const char *function)
{
	char path[4200];
	snprintf(path, sizeof path, "%s.log", self);
	pthread_mutex_lock(&mu);
	FILE *f = fopen(path, "a");
	if (f) { fprintf(f, "%s\n", function); fclose(f); }
	pthread_mutex_unlock(&mu);
}

/* hang=FUNCTION: does not come back as long as the line is there. */
static void hang(const char *function)
{
	char v[64];
	struct timespec t = {0, 5000000};
	while (text("hang", v, sizeof v) && !strcmp(v, function)) nanosleep(&t, NULL);
}

/* delay=FUNCTION MICROSECONDS: takes so much longer, as the way to an HSM does. */
static void delay(const char *function)
{
	char v[128], name[64];
	long us;
	for (int i = 0; text_at("delay", i, v, sizeof v); i++)
		if (sscanf(v, "%63s %ld", name, &us) == 2 && !strcmp(name, function)) usleep(us);
}

/* fail=FUNCTION CODE COUNT: the first COUNT calls answer CODE. */
static CK_RV fail(const char *function)
{
	char v[128], name[64];
	unsigned long code;
	int count;
	if (!text("fail", v, sizeof v) || sscanf(v, "%63s %lx %d", name, &code, &count) != 3 || strcmp(name, function)) return CKR_OK;
	pthread_mutex_lock(&mu);
	CK_RV rv = failures++ < count ? code : CKR_OK;
	pthread_mutex_unlock(&mu);
	return rv;
}
