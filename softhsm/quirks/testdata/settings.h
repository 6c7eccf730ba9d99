/* What the forwarding module was told (<module>.conf), and the log of its calls
 * (<module>.log). Included once, by quirks.c. */
static char self[4096];
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static int failures;

/* conf is the file's text; it is read again when another file has taken its place. */
static char conf[65536];
static struct stat conf_was;

static void refresh(void)
{
	char path[4200];
	struct stat now;
	snprintf(path, sizeof path, "%s.conf", self);
	if (stat(path, &now) || (now.st_ino == conf_was.st_ino && now.st_mtim.tv_nsec == conf_was.st_mtim.tv_nsec && now.st_mtim.tv_sec == conf_was.st_mtim.tv_sec)) return;
	FILE *f = fopen(path, "r");
	if (!f) return;
	conf[fread(conf, 1, sizeof conf - 1, f)] = 0;
	fclose(f);
	conf_was = now;
}

/* text copies the value of a name into out and says whether the name is there. The
 * n-th line of that name counts, from 0. */
static int text_at(const char *name, int n, char *out, size_t size)
{
	size_t len = strlen(name);
	int found = 0;
	pthread_mutex_lock(&mu);
	refresh();
	for (const char *line = conf; *line && !found; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strncmp(line, name, len) || line[len] != '=' || n-- > 0) continue;
		snprintf(out, size, "%.*s", (int)(strcspn(line, "\n") - len - 1), line + len + 1);
		found = 1;
	}
	pthread_mutex_unlock(&mu);
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

/* quiet: no log, which costs more than a call. */
static void note(const char *function)
{
	if (on("quiet")) return;
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
