"""Takes the screenshots of TensorBoard that the README shows, with Chromium and Selenium.

python mnist_estimator.py
tensorboard --logdir ./mnist_training &
pip install selenium
python docs/screenshots.py http://localhost:6006 scalars images graph

That of HPARAMS is of the three runs below ./runs that the README compares.
"""

import pathlib
import shutil
import sys
import tempfile
import time

from selenium import webdriver

# Name of the file: what follows the # of TensorBoard's address, width, height.
PAGES = {
    "scalars": ("scalars&_smoothingWeight=0&tagFilter=^(Accuracy|loss|OptimizeLoss)", 1280, 780),
    "images": ("images", 1280, 1240),
    "graph": ("graphs", 1500, 760),
    "hparams": ("hparams", 2000, 380),
}
OPTIONS = (
    "headless=new",
    "no-sandbox",  # with it Chromium does not start as root
    "disable-gpu",
    "disable-background-networking",
    "hide-scrollbars",
)


def main(address, names):
    with tempfile.TemporaryDirectory() as user_data_dir:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for option in (*OPTIONS, f"user-data-dir={user_data_dir}"):
            options.add_argument(f"--{option}")
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            for name in names:
                page, width, height = PAGES[name]
                size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                driver.get("about:blank")  # a new hash alone would not load the page again
                driver.get(f"{address}/#{page}")
                time.sleep(15)  # it loads and draws piece by piece, and does not tell when it ends
                path = pathlib.Path(__file__).parent / f"tensorboard_{name}.png"
                driver.save_screenshot(str(path))
                print(path)
        finally:
            driver.quit()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
