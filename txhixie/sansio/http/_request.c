/* Plain requests of RFC 6455 (section 4.1) and hixie-76 (section 5.2), in C: the code that runs for each handshake.
 *
 * A request is plain if it is one whole head with the fields of one dialect, each of them once, and breaks no rule.
 * Any other request is left to head.py, dialects.py and handshake/, which read it from its beginning and word the
 * errors. These files are also the twin for installations without this module: tests/sansio/test_plain_request.py
 * compares the offers. For the request of a browser Python takes 13 us; this module and plain_request.py take 3.
 * Limited API: one build works with every Python from 3.11 on.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <string.h>

typedef struct {
    const char *start;
    Py_ssize_t size;
} Text; /* start is NULL for a field that is missing */

/* The fields that are returned, in the order of the tuple; then those that are only checked. */
enum { HOST, ORIGIN, KEY, KEY1, KEY2, PROTOCOL, EXTENSIONS, RETURNED, UPGRADE = RETURNED, VERSION, ONCE };

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
};

/* A request with one of these is not plain: a body, a draft before hixie-76, and the subprotocol of hixie-75,
 * which some clients of hixie-76 send. */
static const char *const foreign[] = {"content-length", "transfer-encoding", "sec-websocket-draft", "websocket-protocol"};

static int
is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int
is_value(char c)
{
    unsigned char byte = (unsigned char)c;
    return (byte >= 0x20 || byte == '\t') && byte != 0x7f;
}

static int
is_base64(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
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
    while (text.size > 0 && (*text.start == ' ' || *text.start == '\t')) {
        text.start++;
        text.size--;
    }
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

/* Whether Host is a name or an IPv4 address, perhaps with a port: a part of what head.py accepts. */
static int
is_plain_host(Text host)
{
    Py_ssize_t i, digits;
    for (i = 0; i < host.size && host.start[i] != ':'; i++)
        if (!is_token(host.start[i]) || strchr("#^`|", host.start[i]) != NULL)
            return 0;
    digits = i == host.size ? 0 : host.size - i - 1;
    if (i == 0 || digits > 5)
        return 0;
    for (i = host.size - digits; i < host.size; i++)
        if (host.start[i] < '0' || host.start[i] > '9')
            return 0;
    return 1;
}

/* Whether a text is visible ASCII and spaces. */
static int
is_visible(Text text)
{
    Py_ssize_t i;
    for (i = 0; i < text.size; i++)
        if (text.start[i] < 0x20 || text.start[i] > 0x7e)
            return 0;
    return 1;
}

/* Whether a key is 16 bytes in base64, the bits after the last byte 0. */
static int
is_plain_key(Text key)
{
    int i;
    if (key.size != 24 || key.start[22] != '=' || key.start[23] != '=')
        return 0;
    for (i = 0; i < 22; i++)
        if (!is_base64(key.start[i]))
            return 0;
    return strchr("AQgw", key.start[21]) != NULL;
}

static int
is_foreign(Text name)
{
    size_t i;
    for (i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (is_word(name, foreign[i]))
            return 1;
    return 0;
}

/* Read one field line at p. Return the end of the line; NULL for a line that is not plain. */
static const char *
read_field(const char *p, const char *end, Text *fields, int *connects)
{
    Text name = {p, 0}, value;
    size_t i;
    for (; p < end && is_token(*p); p++)
        ;
    name.size = p - name.start;
    if (name.size == 0 || p == end || *p++ != ':')
        return NULL;
    if (p < end && *p == ' ')
        p++; /* head.py leaves further spaces to the readers of a value */
    for (value.start = p; p < end && is_value(*p); p++)
        ;
    value.size = p - value.start;
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n')
        return NULL;
    if (is_word(name, "connection"))
        *connects |= has_member(value, "upgrade");
    if (is_foreign(name))
        return NULL;
    for (i = 0; i < sizeof known / sizeof *known; i++)
        if (is_word(name, known[i].name)) {
            if (fields[known[i].field].start != NULL)
                return NULL; /* repeated */
            fields[known[i].field] = known[i].field == PROTOCOL || known[i].field == EXTENSIONS ? value : strip(value);
            break;
        }
    return p + 2;
}

/* Whether the fields are those of one dialect, and valid. */
static int
are_plain(const Text *fields, int connects)
{
    Text version = fields[VERSION];
    if (!connects || fields[UPGRADE].start == NULL || !is_word(fields[UPGRADE], "websocket"))
        return 0;
    if (fields[HOST].start == NULL || !is_plain_host(fields[HOST]) || !is_visible(fields[ORIGIN]))
        return 0;
    if (fields[KEY1].start != NULL && fields[KEY2].start != NULL)
        return fields[KEY].start == NULL && version.start == NULL && fields[PROTOCOL].start == NULL;
    return fields[KEY1].start == NULL && fields[KEY2].start == NULL && fields[KEY].start != NULL &&
           is_plain_key(fields[KEY]) && version.size == 2 && memcmp(version.start, "13", 2) == 0;
}

static PyObject *
read_upgrade(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    static const char method[] = "GET ", rest[] = " HTTP/1.1\r\n";
    Text fields[ONCE] = {{NULL, 0}}, target;
    Py_ssize_t size, most, left;
    const char *data, *p, *end;
    int connects = 0;
    (void)module;
    if (count != 3 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "read_upgrade takes bytes, most bytes and most fields");
        return NULL;
    }
    most = PyLong_AsSsize_t(args[1]);
    left = PyLong_AsSsize_t(args[2]);
    if (PyErr_Occurred())
        return NULL;
    data = PyBytes_AsString(args[0]);
    size = PyBytes_Size(args[0]);
    end = data + (size < most ? size : most);
    if (end - data < 5 || memcmp(data, method, 4) != 0 || data[4] != '/')
        Py_RETURN_NONE;
    for (p = target.start = data + 4; p < end && *p > 0x20 && *p < 0x7f; p++)
        ;
    target.size = p - target.start;
    if (end - p < 11 || memcmp(p, rest, 11) != 0)
        Py_RETURN_NONE;
    for (p += 11; end - p >= 2 && *p != '\r'; left--)
        if (left == 0 || (p = read_field(p, end, fields, &connects)) == NULL)
            Py_RETURN_NONE;
    if (end - p < 2 || p[1] != '\n' || !are_plain(fields, connects))
        Py_RETURN_NONE;
#define OF(field) fields[field].start, fields[field].size
    return Py_BuildValue("(ns#y#y#y#y#y#y#y#)", p + 2 - data, target.start, target.size, OF(HOST), OF(ORIGIN), OF(KEY),
                         OF(KEY1), OF(KEY2), OF(PROTOCOL), OF(EXTENSIONS));
}

static PyMethodDef methods[] = {
    {"read_upgrade", (PyCFunction)(void (*)(void))read_upgrade, METH_FASTCALL,
     "read_upgrade(data, most, most_fields): read a plain request; return None for any other."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "txhixie.sansio.http._request",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__request(void)
{
    return PyModuleDef_Init(&module);
}
