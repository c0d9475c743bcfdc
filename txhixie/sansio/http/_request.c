/* Plain requests of RFC 6455 (section 4.1) and hixie-76 (section 5.2), in C: the code that runs for each handshake.
 *
 * A request is plain if it is one whole head with the fields of one dialect, each of them once, and breaks no rule.
 * Any other request is left to head.py, dialects.py and handshake/, which read it from its beginning and word the
 * errors. These files are also the twin for installations without this module: tests/sansio/test_plain_request.py
 * compares the offers. For the request of a browser Python takes 13 us; this module and plain_request.py take 3.
 */
#include "../compiled.h"

typedef struct {
    const char *start;
    Py_ssize_t size;
} Text; /* start is NULL for a field that is missing */

/* The fields that are returned, in the order of the tuple; then those that are only checked. FOREIGN is for those of
 * which a plain request has none: a body, a draft before hixie-76, and the subprotocol of hixie-75, which some clients
 * of hixie-76 send. */
enum { HOST, ORIGIN, KEY, PROTOCOL, EXTENSIONS, KEY1, KEY2, UPGRADE, VERSION, ONCE, CONNECTION = ONCE, FOREIGN };

static const struct {
    const char *name;
    int field;
} known[] = {
    {"host", HOST},
    {"origin", ORIGIN},
    {"sec-websocket-key", KEY},
    {"sec-websocket-key1", KEY1},
    {"sec-websocket-key2", KEY2},
    {"sec-websocket-protocol", PROTOCOL},
    {"sec-websocket-extensions", EXTENSIONS},
    {"upgrade", UPGRADE},
    {"sec-websocket-version", VERSION},
    {"connection", CONNECTION},
    {"content-length", FOREIGN},
    {"transfer-encoding", FOREIGN},
    {"sec-websocket-draft", FOREIGN},
    {"websocket-protocol", FOREIGN},
};

static int
is_base64(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

static int
is_token(char c)
{
    return c != '/' && (is_base64(c) || (c != '\0' && strchr("!#$%&'*-.^_`|~", c) != NULL));
}

static int
is_visible(char c)
{
    return c > ' ' && c <= '~';
}

static int
is_value(char c)
{
    return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t';
}

/* Return the first character that is not of a kind, or the end. */
static inline const char *
skip(const char *p, const char *end, int (*is_kind)(char))
{
    while (p < end && is_kind(*p))
        p++;
    return p;
}

/* Whether a text is a word, in upper or lower case. The word is given in lower case. */
static int
is_word(Text text, const char *word)
{
    Py_ssize_t i;
    for (i = 0; i < text.size; i++) {
        char c = text.start[i];
        if (c >= 'A' && c <= 'Z')
            c += 'a' - 'A';
        if (c != word[i]) /* the end of a shorter word, too: no text here has a zero byte */
            return 0;
    }
    return word[i] == '\0';
}

static Text
strip(Text text)
{
    for (; text.size > 0 && (*text.start == ' ' || *text.start == '\t'); text.size--)
        text.start++;
    while (text.size > 0 && (text.start[text.size - 1] == ' ' || text.start[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* Whether a list has a member, in upper or lower case. The member is given in lower case. */
static int
has_member(Text list, const char *member)
{
    const char *end = list.start + list.size;
    while (list.start <= end) {
        const char *comma = memchr(list.start, ',', end - list.start);
        Text one = {list.start, (comma == NULL ? end : comma) - list.start};
        if (is_word(strip(one), member))
            return 1;
        list.start += one.size + 1;
    }
    return 0;
}

/* Whether a key is 16 bytes in base64, the bits after the last byte 0. */
static int
is_plain_key(Text key)
{
    const char *last = key.size == 24 ? key.start + 21 : NULL;
    return last != NULL && skip(key.start, last, is_base64) == last && memchr("AQgw", *last, 4) != NULL &&
           memcmp(last + 1, "==", 2) == 0;
}

/* Write the number of a key of hixie-76, 32 bits; return whether the key is plain. hixie76.py has the same rules. */
static int
write_number(Text key, unsigned char *to)
{
    unsigned long long number = 0, blanks = 0;
    int digits = 0, i;
    for (; key.size > 0; key.start++, key.size--) {
        blanks += *key.start == ' ';
        if (*key.start >= '0' && *key.start <= '9' && ++digits <= 13)
            number = number * 10 + (*key.start - '0');
    }
    if (blanks == 0 || digits == 0 || digits > 13 || number % blanks != 0 || number / blanks > 0xffffffff)
        return 0;
    for (number /= blanks, i = 3; i >= 0; i--, number >>= 8)
        to[i] = (unsigned char)number;
    return 1;
}

/* Read one field line at p. Return the end of the line; NULL for a line that is not plain. */
static const char *
read_field(const char *p, const char *end, Text *fields, int *connects)
{
    Text name = {p, skip(p, end, is_token) - p}, value;
    size_t i;
    p += name.size;
    if (name.size == 0 || p == end || *p++ != ':')
        return NULL;
    if (p < end && *p == ' ')
        p++; /* head.py leaves further spaces to the readers of a value */
    value.start = p;
    p = skip(p, end, is_value);
    value.size = p - value.start;
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n')
        return NULL;
    for (i = 0; i < sizeof known / sizeof *known && !is_word(name, known[i].name); i++)
        ;
    if (i == sizeof known / sizeof *known)
        return p + 2;
    if (known[i].field == CONNECTION)
        *connects |= has_member(value, "upgrade");
    else if (known[i].field == FOREIGN || fields[known[i].field].start != NULL) /* or repeated */
        return NULL;
    else
        fields[known[i].field] = known[i].field == PROTOCOL || known[i].field == EXTENSIONS ? value : strip(value);
    return p + 2;
}

/* Whether the fields are those of one dialect, and valid. The numbers of both keys of hixie-76 are written. */
static int
are_plain(const Text *fields, int connects, unsigned char *numbers)
{
    Text version = fields[VERSION];
    if (!connects || fields[HOST].start == NULL || fields[UPGRADE].start == NULL || !is_word(fields[UPGRADE], "websocket"))
        return 0;
    if (fields[KEY1].start != NULL && fields[KEY2].start != NULL)
        return fields[KEY].start == NULL && version.start == NULL && fields[PROTOCOL].start == NULL &&
               write_number(fields[KEY1], numbers) && write_number(fields[KEY2], numbers + 4);
    return fields[KEY1].start == NULL && fields[KEY2].start == NULL && fields[KEY].start != NULL &&
           is_plain_key(fields[KEY]) && version.size == 2 && memcmp(version.start, "13", 2) == 0;
}

static PyObject *
read_upgrade(PyObject *module, PyObject *args)
{
    Text fields[ONCE] = {{NULL, 0}}, target;
    unsigned char numbers[8];
    Py_ssize_t size, most, left;
    const char *data, *p, *end;
    int connects = 0;
    if (!PyArg_ParseTuple(args, "y#nn", &data, &size, &most, &left))
        return NULL;
    end = data + (size < most ? size : most);
    if (end - data < 5 || memcmp(data, "GET /", 5) != 0)
        Py_RETURN_NONE;
    target.start = data + 4;
    p = skip(target.start, end, is_visible);
    target.size = p - target.start;
    if (end - p < 11 || memcmp(p, " HTTP/1.1\r\n", 11) != 0)
        Py_RETURN_NONE;
    for (p += 11; end - p >= 2 && *p != '\r'; left--)
        if (left == 0 || (p = read_field(p, end, fields, &connects)) == NULL)
            Py_RETURN_NONE;
    if (end - p < 2 || p[1] != '\n' || !are_plain(fields, connects, numbers))
        Py_RETURN_NONE;
    if (fields[KEY].start == NULL) /* hixie-76, which has no extensions */
        fields[KEY] = (Text){(char *)numbers, sizeof numbers}, fields[EXTENSIONS].start = NULL;
#define OF(field) fields[field].start, fields[field].size
    return Py_BuildValue("(ns#y#y#y#y#y#)", p + 2 - data, target.start, target.size, OF(HOST), OF(ORIGIN), OF(KEY),
                         OF(PROTOCOL), OF(EXTENSIONS));
}

static PyMethodDef methods[] = {
    {"read_upgrade", read_upgrade, METH_VARARGS,
     "read_upgrade(data, most, most_fields): read a plain request; return None for any other."},
    {NULL, NULL, 0, NULL},
};

MODULE("txhixie.sansio.http._request", PyInit__request)
