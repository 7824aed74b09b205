/** Unpacks the EC2 emulator (moto) and a Python for it from Debian's packages into the cache. Nothing is installed; root is not needed. */
import { compiled } from '../support/python-root.ts'
import { unpackedPackages } from '../support/unpacked-packages.ts'

/** Debian 12 has no moto. What is pure Python can come from the next release; C extensions belong to their Python. */
const emulatorSuite = 'trixie'

const fromEmulatorSuite = ['moto', 'boto3', 'botocore', 's3transfer']
const modules = [
  ...['antlr4', 'jmespath', 'urllib3', 'dateutil', 'six', 'flask', 'flask-cors', 'werkzeug', 'jinja2', 'markupsafe', 'itsdangerous', 'click', 'colorama'],
  ...['responses', 'requests', 'chardet', 'charset-normalizer', 'idna', 'certifi', 'xmltodict', 'cryptography', 'cffi-backend', 'yaml'],
  ...['typing-extensions', 'importlib-metadata', 'zipp', 'more-itertools', 'simplejson'],
]
const interpreter = [
  ...['python3.11-minimal', 'libpython3.11-minimal', 'libpython3.11-stdlib', 'libexpat1', 'zlib1g', 'libssl3', 'libffi8', 'libbz2-1.0', 'liblzma5'],
  ...['libsqlite3-0', 'libuuid1', 'libcrypt1', 'libyaml-0-2'],
]

const packages = [...fromEmulatorSuite.map((name) => `python3-${name}/${emulatorSuite}`), ...modules.map((name) => `python3-${name}`), ...interpreter]

/** The root that holds usr/bin/python3.11 and its modules, made first where it is not there: half a minute, 150 MB. */
export const ensureEmulatorRoot = (signal: AbortSignal): Promise<string> =>
  unpackedPackages({ name: 'moto', packages, suites: [emulatorSuite], useless: ['usr/share', 'etc', 'var'], finish: compiled }, signal)
